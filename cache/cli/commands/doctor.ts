/** `kubectl orca doctor`: known trouble, and its remedy. */
import type { CacheRef } from '#cache/cli/cluster/cluster.ts';
import { findCache } from '#cache/cli/cluster/kube-cluster.ts';
import { examine, troublesOf } from '#cache/cli/doctor/examine.ts';
import type { CheckResult } from '#cache/cli/doctor/check.ts';
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import type { Colors } from '#cache/cli/frame/io.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import { OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { printable } from '#cache/cli/output/table.ts';
import { gather } from '#cache/cli/replies/gather.ts';

export const ALL_FLAG = {
  name: 'all-namespaces',
  short: 'A',
  isSwitch: true,
  description: 'Look at the caches of all namespaces.',
} as const;

export const doctor: Command = {
  name: 'doctor',
  summary: 'Look for known trouble, and show what to do about it',
  description: `Look for known trouble with a cache, or with all caches of the namespace, and show what to do about it.

 It reads the OrcaCache, its pods, and what each pod reports at /status, /top and /store through the API server's proxy.
Nothing is changed. It needs get and list of orcacaches and pods, and get of pods/proxy.

 The exit code is 1 if there is an error, and 0 if there are only warnings or nothing at all.`,
  args: '[CACHE]',
  maxArgs: 1,
  completes: 'cache',
  examples: [
    { title: 'Examine the caches of the current namespace', command: 'kubectl orca doctor' },
    { title: 'Examine one cache, and show the checks that pass too', command: 'kubectl orca doctor models -o wide' },
    {
      title: 'In a script: the ids of the checks that found something',
      command: "kubectl orca doctor -o json | jq -r '.items[].troubles[].check'",
    },
  ],
  flags: [OUTPUT_FLAG, ALL_FLAG],
  async run(context) {
    const { clock, signal, io } = context;
    const cluster = await context.connect();
    const items: { readonly cache: CacheRef; readonly results: readonly CheckResult[] }[] = [];
    for (const cache of await selectCaches(context)) {
      const report = await gather({ cluster, clock, signal }, cache);
      items.push({ cache, results: examine(report) });
    }
    printResult(context, {
      kind: 'Diagnosis',
      data: { items: items.map(({ cache, results }) => jsonOf(cache, results)) },
      text: (isWide) => items.map(({ cache, results }) => textOf(cache, results, isWide, io.color)).join('\n'),
    });
    const hasErrors = items.some(({ results }) => troublesOf(results).some(({ level }) => level === 'error'));
    return hasErrors ? 1 : 0;
  },
};

/** The cache of the argument, or all of the namespace or the cluster. */
export async function selectCaches(context: CommandContext): Promise<readonly CacheRef[]> {
  const { args, flags, signal } = context;
  const cluster = await context.connect();
  const [name] = args;
  if (name !== undefined) return [await findCache(cluster, name, signal)];
  const isAll = flags.has('all-namespaces');
  const caches = await cluster.caches(isAll, signal);
  if (caches.length > 0) return caches;
  throw new CliError(isAll ? 'no caches found' : `no caches found in namespace ${cluster.namespace}`);
}

function jsonOf({ name, namespace }: CacheRef, results: readonly CheckResult[]) {
  return {
    name,
    namespace,
    troubles: troublesOf(results),
    passed: results.filter(({ troubles }) => troubles?.length === 0).map(({ check }) => check.id),
    skipped: results.filter(({ troubles }) => troubles === undefined).map(({ check }) => check.id),
  };
}

function textOf(cache: CacheRef, results: readonly CheckResult[], isWide: boolean, color: Colors): string {
  const lines: string[] = [color.bold(titleOf(cache))];
  for (const { level, message, remedy } of troublesOf(results)) {
    const mark = level === 'error' ? color.red('ERROR  ') : color.yellow('WARNING');
    lines.push(`  ${mark}  ${printable(message)}`, `           ${color.dim(printable(remedy))}`);
  }
  if (isWide)
    for (const { check, troubles } of results) {
      if (troubles?.length === 0) lines.push(`  ${color.green('ok')}       ${check.title}`);
      if (troubles === undefined) lines.push(`  ${color.dim('skipped')}  ${check.title}`);
    }
  const count = (wanted: (result: CheckResult) => boolean): number => results.filter(wanted).length;
  const found = count(({ troubles = [] }) => troubles.length > 0);
  const skipped = count(({ troubles }) => troubles === undefined);
  const passed = `${results.length - found - skipped} of ${results.length} checks passed`;
  lines.push(`  ${passed}${skipped === 0 ? '' : `, ${skipped} skipped because nothing is reported about them`}.`);
  return `${lines.join('\n')}\n`;
}

export function titleOf({ namespace, name }: CacheRef): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
