/** The candidates for the last argument of a command line. */
import type { Cluster } from '#cache/cli/cluster/cluster.ts';
import { SHELLS } from '#cache/cli/commands/completion.ts';
import { textAt } from '#cache/cli/replies/fields.ts';
import type { Command, Flag } from './command.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';

export interface CompleteOptions {
  readonly commands: readonly Command[];
  readonly connect: () => Promise<Cluster>;
  readonly signal: AbortSignal;
}

export async function complete(
  words: readonly string[],
  { commands, connect, signal }: CompleteOptions,
): Promise<readonly string[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = commands.find(({ name }) => name === before[0]);
  if (command === undefined)
    return before.length > 0
      ? []
      : matching(
          commands.map(({ name }) => name),
          last,
        );
  const flags = [...command.flags, ...GLOBAL_FLAGS];
  const open = flags.find((flag) => flag.isSwitch !== true && isFlag(flag, before.at(-1) ?? ''));
  if (open !== undefined)
    return matching(open.name === 'cache' ? await cacheNames(connect, signal) : (open.values ?? []), last);
  if (last.startsWith('-'))
    return matching(
      flags.map(({ name }) => `--${name}`),
      last,
    );
  if (command.completes === 'shell') return matching(SHELLS, last);
  if (command.completes === 'cache') return matching(await cacheNames(connect, signal), last);
  return command.completes === 'prewarm' ? matching(await prewarmNames(connect, signal), last) : [];
}

function isFlag({ name, short }: Flag, word: string): boolean {
  return word === `--${name}` || (short !== undefined && word === `-${short}`);
}

function matching(candidates: readonly string[], start: string): readonly string[] {
  return candidates.filter((candidate) => candidate.startsWith(start));
}

async function cacheNames(connect: () => Promise<Cluster>, signal: AbortSignal): Promise<readonly string[]> {
  return quietly(connect, async (cluster) => (await cluster.caches(false, signal)).map(({ name }) => name));
}

async function prewarmNames(connect: () => Promise<Cluster>, signal: AbortSignal): Promise<readonly string[]> {
  return quietly(connect, async ({ prewarms }) =>
    (await prewarms.list(signal)).map((prewarm) => textAt(prewarm, 'metadata', 'name')),
  );
}

/** An error would appear in the middle of the line that is being typed. */
async function quietly(
  connect: () => Promise<Cluster>,
  names: (cluster: Cluster) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    return await names(await connect());
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  }
}
