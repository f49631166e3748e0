/** `schedule` and `timeZone` of an OrcaPrewarm. */
import { text, withDefault } from './field-builders.ts';

const names = (list: string): string => `${list}|${list.toLowerCase()}`;

/** Each field has values, and steps that are below the number of its values. */
const FIELDS = [
  { value: '[0-5]?[0-9]', step: '[1-9]|[1-5][0-9]' },
  { value: '[01]?[0-9]|2[0-3]', step: '[1-9]|1[0-9]|2[0-3]' },
  { value: '0?[1-9]|[12][0-9]|3[01]', step: '[1-9]|[12][0-9]|3[01]' },
  {
    value: `0?[1-9]|1[0-2]|${names('JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC')}`,
    step: '[1-9]|1[0-2]',
  },
  { value: `[0-7]|${names('SUN|MON|TUE|WED|THU|FRI|SAT')}`, step: '[1-7]' },
];

/** A list of values, of ranges and of `*`, the latter two with an optional step. */
function field({ value, step }: (typeof FIELDS)[number]): string {
  const item = `((${value})|([*]|(${value})-(${value}))(/(${step}))?)`;
  return `${item}(,${item})*`;
}

/** Whether a range ends after its beginning, and the date exists, only the operator checks. */
export const SCHEDULE_PATTERN = `^(@(hourly|daily|weekly|monthly)|${FIELDS.map(field).join(' +')})$`;

export const schedule = text(
  'When runs start, as five fields of cron (minute, hour, day of month, month, day of week) or as `@hourly`, `@daily`, ' +
    '`@weekly` or `@monthly`. While a run is active no other starts, and of starts that were missed one is made up for. ' +
    'If omitted, there is one run, at once.',
  {
    maxLength: 128,
    pattern: SCHEDULE_PATTERN,
    message:
      "must be five fields of cron, such as '0 2 * * *' or '*/30 8-18 * * MON-FRI', or @hourly, @daily, @weekly or @monthly",
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
