/** The log level: the environment's, which is set by hand for one process, comes before every file's. */
import { logLevel as schema } from '#crds/schema/behaviour.ts';
import type { Problem } from '#crds/validate.ts';
import type { LogLevel } from './config.ts';

export const LOG_LEVEL_VAR = 'ORCA_LOG_LEVEL';

export function resolveLogLevel(
  fromFile: LogLevel,
  env: Readonly<Record<string, string | undefined>>,
  mistakes: Problem[],
): LogLevel {
  const text = env[LOG_LEVEL_VAR];
  if (text === undefined || text === '') return fromFile;
  const level = schema.enum.find((known) => known === text);
  if (level === undefined)
    mistakes.push({ path: [LOG_LEVEL_VAR], message: `must be one of ${schema.enum.join(', ')}` });
  return level ?? fromFile;
}
