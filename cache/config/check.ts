/** `check-config`: prints the resolved configuration, or one line per problem. */
import { stringify } from 'yaml';
import { formatDuration } from '#crds/duration.ts';
import { formatQuantity } from '#crds/quantity.ts';
import type { Config } from './config.ts';
import { ConfigError, loadConfig } from './load.ts';

export interface CheckResult {
  readonly exitCode: 0 | 1;
  /** Ends with a newline. The configuration belongs on stdout, problems on stderr. */
  readonly output: string;
}

export function checkConfig(path: string, env: Readonly<Record<string, string | undefined>>): CheckResult {
  try {
    return { exitCode: 0, output: describeConfig(loadConfig(path, env)) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { exitCode: 1, output: error.problems.map((line) => `${line}\n`).join('') };
  }
}

/** The resolved configuration as YAML with readable units. A Config contains no secrets, only where to read them. */
export function describeConfig(config: Config): string {
  return stringify(readable(config), { lineWidth: 0, aliasDuplicateObjects: false });
}

function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]: [string, unknown]) => {
      if (typeof member !== 'number') return [key, readable(member)];
      if (key.endsWith('Ms')) return [key.slice(0, -'Ms'.length), formatDuration(member)];
      if (key.endsWith('Bytes')) return [key.slice(0, -'Bytes'.length), formatQuantity(member)];
      return [key, member];
    }),
  );
}
