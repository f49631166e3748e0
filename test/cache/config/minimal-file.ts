/** The minimal config file that a process starts with, and variations of it. */
import { stringify } from 'yaml';
import { ConfigError, parseConfig } from '#cache/config/load.ts';
import type { Facts } from '#cache/config/resolve.ts';

type Tree = { [key: string]: unknown };

export const GIB = 1024 ** 3;
export const facts: Facts = { env: {}, memory: { constrainedBytes: 0, totalBytes: 64 * GIB } };

export function minimalFileWith(changes: Readonly<Record<string, unknown>>): string {
  const file: Tree = {
    origin: { id: 'models-eu', type: 'S3', s3: { endpoint: 'http://127.0.0.1:7070' }, buckets: [{ name: 'models' }] },
    cacheStore: { type: 'Filesystem', filesystem: { path: '/var/lib/orca' } },
  };
  for (const [path, value] of Object.entries(changes)) {
    const steps = path.split('.');
    const last = steps.pop() ?? '';
    let at = file;
    for (const step of steps) at = (at[step] ??= {}) as Tree;
    if (value === undefined) delete at[last];
    else at[last] = value;
  }
  return stringify(file);
}

/** The problems of a config file, without line numbers; empty = valid. */
export function problemsOf(text: string, withFacts: Facts = facts): readonly string[] {
  try {
    parseConfig(text, withFacts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((line) => line.replace(/ \(line \d+\)$/, ''));
  }
}
