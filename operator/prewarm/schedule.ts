/** When a schedule starts the next run. Cron expressions, time zones and daylight saving time are croner's work. */
import { Cron } from 'croner';

export interface Schedule {
  /** The first start after that time; undefined if it never occurs, such as on 30 February. */
  next(afterMs: number): number | undefined;
}

/** Looking up a time zone takes milliseconds, and most schedules are the same few. */
const MAX_PARSED = 1000;
const parsed = new Map<string, Schedule>();

/** Throws an Error with a message for users if the expression or the time zone is invalid. */
export function parseSchedule(schedule: string, timezone: string): Schedule {
  const id = `${schedule} ${timezone}`;
  const known = parsed.get(id);
  if (known !== undefined) return known;
  // Without a function it starts no timer.
  const cron = new Cron(schedule, { timezone, paused: true, mode: '5-part' });
  const next = (afterMs: number): number | undefined => cron.nextRun(new Date(afterMs))?.getTime();
  // The time zone is looked up only when it is used.
  next(0);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(id, { next });
  return { next };
}
