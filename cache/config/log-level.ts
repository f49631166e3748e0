/** The log level. The environment variable, set by hand for one process, overrides the config and runtime files. */
import { logLevel as schema } from '#crds/schema/behavior.ts';
import type { Problem } from '#crds/validate.ts';
import type { LogLevel } from './config.ts';

export const LOG_LEVEL_VAR = 'ORCA_LOG_LEVEL';

export function resolveLogLevel(
  fromFile: LogLevel,
  env: Readonly<Record<string, string | undefined>>,
  problems: Problem[],
): LogLevel {
  const text = env[LOG_LEVEL_VAR];
  if (text === undefined || text === '') return fromFile;
  const level = schema.enum.find((known) => known === text);
  if (level === undefined)
    problems.push({ path: [LOG_LEVEL_VAR], message: `must be one of ${schema.enum.join(', ')}` });
  return level ?? fromFile;
}
