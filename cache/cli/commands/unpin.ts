/** `kubectl orca unpin`: ends a pin that `kubectl orca pin` has made. */
import type { Prewarms } from '#cache/cli/cluster/cluster.ts';
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import { OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { resourceName } from '#cache/cli/prewarm/report.ts';
import { isMadeByPin, isPin } from '#cache/cli/prewarm/state.ts';
import { getPrewarm } from '#cache/cli/prewarm/wait.ts';
import { itemsAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import { parseS3Name } from './select.ts';

export const unpin: Command = {
  name: 'unpin',
  summary: 'End a pin',
  description: `End a pin: delete the OrcaPrewarm that "kubectl orca pin" has created, by its name or by the prefix that was pinned. The
chunks stay in the cachestore until they are evicted.

 A prewarm with a pin that was created otherwise, for example from a repository, is not deleted: the command names it.

 It needs get, list and delete of orcaprewarms in the namespace of the cache.`,
  args: 'NAME|s3://BUCKET[/PREFIX]',
  maxArgs: 1,
  completes: 'prewarm',
  examples: [
    { title: 'By the prefix', command: 'kubectl orca unpin s3://models/llama-3-70b/' },
    { title: 'By the name', command: 'kubectl orca unpin llama-3-70b-x7k2p' },
  ],
  flags: [OUTPUT_FLAG],
  async run(context) {
    const { args, signal } = context;
    const [name] = args;
    if (name === undefined) throw new UsageError('what to unpin is missing: NAME or s3://BUCKET/PREFIX');
    const { prewarms, namespace } = await context.connect();
    const found = name.startsWith('s3://')
      ? await pinsOf(prewarms, name, namespace, signal)
      : [await getPrewarm(prewarms, name, signal)];
    const own = found.filter(isOurs);
    if (own.length === 0) throw new CliError(refusalOf(found, namespace));
    for (const each of own) await prewarms.delete(nameOf(each), textAt(each, 'metadata', 'uid'), signal);
    report(context, own.map(nameOf), found.filter((each) => !isOurs(each)).map(nameOf));
    return 0;
  },
};

/** The prewarms that pin exactly this prefix. */
async function pinsOf(prewarms: Prewarms, text: string, namespace: string, signal: AbortSignal): Promise<Fields[]> {
  const { bucket, key } = parseS3Name(text);
  const found = (await prewarms.list(signal)).filter(
    (each) =>
      isPin(each) &&
      itemsAt(each, 'spec', 'targets').some(
        (target) => target['bucket'] === bucket && isWholePrefix(target) && textAt(target, 'prefix') === key,
      ),
  );
  if (found.length > 0) return found;
  throw new CliError(`nothing pins s3://${bucket}/${key} in namespace ${namespace}: kubectl orca pins shows all pins`);
}

function isWholePrefix(target: Fields): boolean {
  return target['manifest'] === undefined && target['keysFrom'] === undefined;
}

function refusalOf(found: readonly Fields[], namespace: string): string {
  const [first] = found;
  const name = nameOf(first ?? {});
  if (first !== undefined && !isPin(first)) return `${resourceName(name)} does not pin anything: it has no spec.pin`;
  return (
    `pinned by ${found.map(nameOf).map(resourceName).join(', ')}, which kubectl orca pin has not created: ` +
    `delete it where it comes from, for example with kubectl delete orcaprewarm ${name} -n ${namespace}`
  );
}

function report(context: CommandContext, deleted: readonly string[], others: readonly string[]): void {
  printResult(context, {
    kind: 'UnpinResult',
    data: { deleted, stillPinnedBy: others },
    text: () => deleted.map((name) => `${resourceName(name)} deleted\n`).join(''),
  });
  if (others.length > 0)
    context.io.err(`Warning: still pinned by ${others.map(resourceName).join(', ')}, which others have created\n`);
}

function isOurs(prewarm: Fields): boolean {
  return isPin(prewarm) && isMadeByPin(prewarm);
}

function nameOf(prewarm: Fields): string {
  return textAt(prewarm, 'metadata', 'name');
}
