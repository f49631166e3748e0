/** `kubectl orca prewarm`: brings objects near before they are read. */
import { stringify } from 'yaml';
import { hasStatus } from '#shared/kube/error.ts';
import type { Cluster } from '#cache/cli/cluster/cluster.ts';
import type { Command, CommandContext, Flag } from '#cache/cli/frame/command.ts';
import { CliError, UsageError } from '#cache/cli/frame/errors.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { BY_PREWARM, durationOf, FOREVER, manifestOf, TARGET_FLAGS } from '#cache/cli/prewarm/manifest.ts';
import { howToFollow, printState, resourceName, waitAndReport } from '#cache/cli/prewarm/report.ts';
import { stateOf } from '#cache/cli/prewarm/state.ts';
import { getPrewarm } from '#cache/cli/prewarm/wait.ts';
import { textAt, type Fields } from '#cache/cli/replies/fields.ts';
import { cacheOfBucket, parseS3Name } from './select.ts';

/** Long enough for a run over night; every wait has an end. */
const DEFAULT_TIMEOUT = '24h';
/** Long enough to look at it the next day. */
const DEFAULT_KEEP = '24h';

export const WAIT_FLAGS: readonly Flag[] = [
  { name: 'wait', short: 'w', isSwitch: true, description: 'Wait until it has ended, with a progress bar.' },
  {
    name: 'timeout',
    default: DEFAULT_TIMEOUT,
    description: 'With --wait: the time after which the command ends with an error. The prewarm continues.',
  },
  {
    name: 'dry-run',
    isSwitch: true,
    description: 'Print the OrcaPrewarm as YAML (-o json: JSON) for kubectl apply or a repository, and create nothing.',
  },
];

export const prewarm: Command = {
  name: 'prewarm',
  summary: 'Bring objects near before they are read, and wait for them',
  description: `Fetch everything below a prefix into the cachestore, in the background, so that later reads need no bytes of the origin.

 It creates an OrcaPrewarm, which the replicas work off: the command may end, and so may any replica. What is stored already
is skipped. With --wait it shows the progress until the run has ended; the exit code is 0 only if everything is stored.
Ctrl-C ends the command, not the prewarm. With the NAME of an OrcaPrewarm instead of a prefix it shows that one: once, or
with --wait until it has ended.

 It needs create and get of orcaprewarms and list of orcacaches in the namespace of the cache.`,
  args: 's3://BUCKET[/PREFIX]|NAME',
  maxArgs: 1,
  completes: 'prewarm',
  examples: [
    { title: 'Bring a model near, and wait for it', command: 'kubectl orca prewarm s3://models/llama-3-70b/ --wait' },
    {
      title: 'Only some files, at most 500 MiB/s from the origin, and keep them for a week',
      command:
        "kubectl orca prewarm s3://models/llama-3-70b/ --include '**/*.safetensors' --include '*.json' --rate 500Mi --pin 7d",
    },
    { title: 'Watch one that is running', command: 'kubectl orca prewarm --wait llama-3-70b-x7k2p' },
    {
      title: 'A file for a repository',
      command: 'kubectl orca prewarm s3://models/llama-3-70b/ --dry-run > llama-3-70b.yaml',
    },
  ],
  flags: [
    OUTPUT_FLAG,
    ...WAIT_FLAGS,
    ...TARGET_FLAGS,
    {
      name: 'pin',
      description: `Keep what was fetched from being evicted for this time, such as 7d, or '${FOREVER}': until the OrcaPrewarm is deleted.`,
    },
    {
      name: 'keep',
      default: DEFAULT_KEEP,
      description: `How long the OrcaPrewarm stays to be looked at after it has ended and its pin has expired, or '${FOREVER}'.`,
    },
    CACHE_FLAG,
  ],
  async run(context) {
    const { args, flags } = context;
    const [name] = args;
    if (name !== undefined && !name.startsWith('s3://')) return showOne(context, name);
    const keep = flags.text('keep') ?? '';
    return createPrewarm(context, {
      createdBy: BY_PREWARM,
      pin: flags.text('pin'),
      keepMs: keep === FOREVER ? undefined : durationOf('--keep', keep, FOREVER),
    });
  },
};

async function showOne(context: CommandContext, name: string): Promise<number> {
  const { flags, signal } = context;
  for (const { name: flag } of TARGET_FLAGS)
    if (flags.has(flag))
      throw new UsageError(`--${flag} is for a new prewarm: s3://BUCKET/PREFIX instead of '${name}'`);
  const { prewarms } = await context.connect();
  const found = await getPrewarm(prewarms, name, signal);
  if (flags.has('wait')) return waitAndReport(context, name);
  printState(context, stateOf(found));
  return 0;
}

export interface CreateOptions {
  readonly createdBy: string;
  readonly pin: string | undefined;
  readonly keepMs: number | undefined;
}

async function create({ prewarms, namespace }: Cluster, manifest: Fields, signal: AbortSignal): Promise<Fields> {
  try {
    return await prewarms.create(manifest, signal);
  } catch (error) {
    if (!hasStatus(error, 409)) throw error;
    const name = textAt(manifest, 'metadata', 'name');
    throw new CliError(
      `${resourceName(name)} exists already: choose another --name, or follow that one with 'kubectl orca prewarm --wait ${name} -n ${namespace}'`,
      error,
    );
  }
}

/** For `prewarm` and `pin`. Resolves with the exit code. */
export async function createPrewarm(context: CommandContext, options: CreateOptions): Promise<number> {
  const { args, flags, io, signal } = context;
  const target = parseS3Name(args[0]);
  const isDryRun = flags.has('dry-run');
  if (flags.has('wait')) durationOf('--timeout', flags.text('timeout') ?? '');
  const manifestFor = (cache: string, namespace: string): Fields =>
    manifestOf({ ...options, flags, target, cache, namespace, isGenerated: !isDryRun });
  // Wrong flags are reported before the first request.
  manifestFor('', '');
  const cluster = await context.connect();
  const cache = await cacheOfBucket(context, cluster, target.bucket);
  const manifest = manifestFor(cache.name, cluster.namespace);
  if (isDryRun) {
    io.out(flags.text('output') === 'json' ? `${JSON.stringify(manifest, undefined, 2)}\n` : stringify(manifest));
    return 0;
  }
  const state = stateOf(await create(cluster, manifest, signal));
  const isText = flags.text('output') === undefined || flags.text('output') === 'wide';
  if (!flags.has('wait') && !isText) printState(context, state);
  if (isText) io.out(`${resourceName(state.name)} created\n`);
  if (flags.has('wait')) return waitAndReport(context, state.name);
  if (isText) io.err(howToFollow(state.name, cluster.namespace));
  return 0;
}
