/** `schedule` and `timeZone` of an OrcaPrewarm. */
import { text, withDefault } from './field-builders.ts';

const names = (list: string): string => `${list}|${list.toLowerCase()}`;
/** Numbers and names of each of the five fields. */
const VALUES = [
  '[0-5]?[0-9]',
  '[01]?[0-9]|2[0-3]',
  '0?[1-9]|[12][0-9]|3[01]',
  `0?[1-9]|1[0-2]|${names('JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC')}`,
  `[0-7]|${names('SUN|MON|TUE|WED|THU|FRI|SAT')}`,
];

/** A list of values, ranges and `*`, each with an optional step. */
function field(value: string): string {
  const item = `([*]|(${value})(-(${value}))?)(/[1-9][0-9]?)?`;
  return `${item}(,${item})*`;
}

const SCHEDULE_PATTERN = `^(@(hourly|daily|weekly|monthly)|${VALUES.map(field).join(' +')})$`;

export const schedule = text(
  'When runs start, as five fields of cron (minute, hour, day of month, month, day of week) or as `@hourly`, `@daily`, ' +
    '`@weekly` or `@monthly`. While a run is active no other starts, and of starts that were missed one is made up for. ' +
    'If omitted, there is one run, at once.',
  {
    maxLength: 128,
    pattern: SCHEDULE_PATTERN,
    message: "must be five fields of cron, such as '0 2 * * *', or @hourly, @daily, @weekly or @monthly",
  },
);

export const timeZone = withDefault(
  text('Time zone of `schedule`, as a name of the IANA database, such as `Europe/Berlin`.', {
    maxLength: 64,
    pattern: '^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$',
    message: 'must be the name of a time zone, such as Europe/Berlin or UTC',
  }),
  'UTC',
  'which has no daylight saving time',
);
