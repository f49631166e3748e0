/** `kubectl orca pins`: what may not be evicted, and until when. */
import type { Cluster, CacheRef } from '#cache/cli/cluster/cluster.ts';
import type { Command, CommandContext } from '#cache/cli/frame/command.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import { OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDate, formatDuration } from '#cache/cli/output/units.ts';
import { isMadeByPin, isPin, stateOf } from '#cache/cli/prewarm/state.ts';
import { countAt, itemsAt, numberAt, textAt, type Fields } from '#cache/cli/replies/fields.ts';
import { isUnknownPath } from '#cache/cli/replies/gather.ts';
import { selectCaches } from './doctor.ts';
import { somePod } from './select.ts';

/** Targets that are shown without `-o wide`. */
const FEW = 1;

export const pins: Command = {
  name: 'pins',
  summary: 'List pins: what is kept, how much it is, and until when',
  description: `List the pins of a cache, or of all caches of the namespace: what is not evicted, how much it is, and until when.

 The sizes are those in the cachestore, read by one pod at /pins. A prewarm that asks for a pin and has none yet is listed
too; Refused means that the pins would exceed cacheStore.maxPinned. A pin MADE BY "pin" ends with kubectl orca unpin, and
one made by a "resource" when that OrcaPrewarm is deleted.

 It needs get and list of orcacaches, orcaprewarms and pods, and get of pods/proxy.`,
  args: '[CACHE]',
  maxArgs: 1,
  completes: 'cache',
  examples: [
    { title: 'All pins of the namespace', command: 'kubectl orca pins' },
    { title: 'The bytes that are pinned', command: "kubectl orca pins -o json | jq '[.items[].bytes] | add'" },
  ],
  flags: [OUTPUT_FLAG],
  async run(context) {
    const { signal } = context;
    const cluster = await context.connect();
    const items: Pin[] = [];
    for (const cache of await selectCaches(context)) {
      const own = cache.resource === undefined ? [] : await prewarmsOf(cluster, cache, signal);
      items.push(...joined(cache, await storedPins(cluster, cache, signal), own));
    }
    printResult(context, {
      kind: 'PinList',
      data: { items },
      text: (isWide) => tableOf(items, isWide, context),
    });
    return 0;
  },
};

interface Pin {
  /** The name of the OrcaPrewarm, if it is one of this namespace; otherwise that of the pin. */
  readonly name: string;
  /** Its name in the cachestore; null = not there yet. */
  readonly pin: string | null;
  readonly cache: string;
  readonly namespace: string;
  readonly state: string;
  /** Null = not in the cachestore yet. */
  readonly bytes: number | null;
  readonly versions: number | null;
  /** Null = until it is unpinned. */
  readonly expires: string | null;
  readonly prewarm: string | null;
  readonly madeBy: 'pin' | 'resource' | null;
  readonly targets: readonly string[];
}

async function storedPins(cluster: Cluster, cache: CacheRef, signal: AbortSignal): Promise<readonly Fields[]> {
  const pod = await somePod(cluster, cache, signal);
  try {
    return itemsAt(await cluster.get(pod, '/pins', {}, signal), 'pins');
  } catch (error) {
    if (!isUnknownPath(error)) throw error;
    throw new CliError(`pod ${pod.name} runs a release without pins: update the cache`, error);
  }
}

async function prewarmsOf({ prewarms }: Cluster, cache: CacheRef, signal: AbortSignal): Promise<readonly Fields[]> {
  const all = await prewarms.list(signal);
  return all.filter((each) => textAt(each, 'spec', 'cacheRef', 'name') === cache.name && isPin(each));
}

/** Each stored pin with its resource; then the resources whose pin is not stored. */
function joined({ name: cache, namespace }: CacheRef, stored: readonly Fields[], resources: readonly Fields[]): Pin[] {
  const left = new Map(resources.map((resource) => [textAt(resource, 'metadata', 'name'), resource]));
  const ownerOf = (pin: Fields): Fields | undefined =>
    resources.find((each) => textAt(each, 'metadata', 'uid') === textAt(pin, 'uid'));
  const pins = stored.map((pin): Pin => {
    const owner = ownerOf(pin);
    if (owner !== undefined) left.delete(textAt(owner, 'metadata', 'name'));
    const expiresMs = numberAt(pin, 'expiresMs');
    return {
      name: textAt(pin, 'prewarm') || textAt(pin, 'name'),
      pin: textAt(pin, 'name'),
      cache,
      namespace,
      state: 'Pinned',
      bytes: countAt(pin, 'sizeBytes'),
      versions: countAt(pin, 'versions'),
      expires: expiresMs === undefined ? null : formatDate(expiresMs),
      ...resourceOf(owner),
    };
  });
  for (const [name, resource] of left) {
    const { pin, phase } = stateOf(resource);
    const state = pin === 'Refused' ? 'Refused' : phase;
    // Its pin has expired.
    if (pin === 'Pinned' && phase === 'Complete') continue;
    pins.push({
      name,
      pin: null,
      cache,
      namespace,
      state,
      bytes: null,
      versions: null,
      expires: null,
      ...resourceOf(resource),
    });
  }
  return pins;
}

function resourceOf(resource: Fields | undefined): Pick<Pin, 'prewarm' | 'madeBy' | 'targets'> {
  if (resource === undefined) return { prewarm: null, madeBy: null, targets: [] };
  return {
    prewarm: textAt(resource, 'metadata', 'name'),
    madeBy: isMadeByPin(resource) ? 'pin' : 'resource',
    targets: itemsAt(resource, 'spec', 'targets').map(targetText),
  };
}

function targetText(target: Fields): string {
  const bucket = textAt(target, 'bucket');
  if (target['manifest'] !== undefined)
    return `keys of s3://${textAt(target, 'manifest', 'bucket')}/${textAt(target, 'manifest', 'key')} in ${bucket}`;
  if (target['keysFrom'] !== undefined)
    return `keys of ConfigMap ${textAt(target, 'keysFrom', 'configMapRef', 'name')} in ${bucket}`;
  return `s3://${bucket}/${textAt(target, 'prefix')}`;
}

function tableOf(items: readonly Pin[], isWide: boolean, { clock }: CommandContext): string {
  if (items.length === 0) return 'No pins found.\n';
  const headings = ['NAME', 'CACHE', 'STATUS', 'SIZE', 'OBJECTS', 'EXPIRES', 'MADE BY', 'WHAT'];
  return formatTable(
    headings,
    items.map((pin) => [
      pin.name,
      pin.cache,
      pin.state,
      pin.bytes === null ? '-' : formatBytes(pin.bytes),
      pin.versions === null ? '-' : String(pin.versions),
      expiryText(pin, clock.date()),
      pin.madeBy ?? '-',
      targetsText(pin.targets, isWide),
    ]),
  );
}

function expiryText({ bytes, expires }: Pin, nowMs: number): string {
  if (bytes === null) return '-';
  if (expires === null) return 'never';
  const leftMs = Date.parse(expires) - nowMs;
  return leftMs > 0 ? `in ${formatDuration(leftMs)}` : 'now';
}

function targetsText(targets: readonly string[], isWide: boolean): string {
  const shown = isWide ? targets : targets.slice(0, FEW);
  const more = targets.length - shown.length;
  if (targets.length === 0) return '-';
  return printable(shown.join(', ')) + (more === 0 ? '' : ` and ${more} more`);
}
