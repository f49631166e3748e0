/** From flags to an OrcaPrewarm. */
import { API_VERSION, GROUP, PREWARM } from '#crds/names.ts';
import { formatDuration } from '#crds/duration.ts';
import { formatQuantity, parseQuantity } from '#crds/quantity.ts';
import type { Flag, Flags } from '#cache/cli/frame/command.ts';
import { UsageError } from '#cache/cli/frame/errors.ts';
import { parseDuration } from '#cache/cli/output/units.ts';
import type { Fields } from '#cache/cli/replies/fields.ts';
import type { S3Name } from '#cache/cli/commands/select.ts';

/** The label with the creator of a prewarm: `unpin` deletes only those of `pin`. */
export const CREATED_BY = `${GROUP}/created-by`;
export const BY_PREWARM = 'kubectl-orca';
export const BY_PIN = 'kubectl-orca-pin';
export const FOREVER = 'forever';

const MIN_RATE_BYTES = 1024 * 1024;
const MAX_PARALLELISM = 1024;
/** The API server appends five characters; a name of the resource has at most 63. */
const MAX_STEM = 57;

/** What both `prewarm` and `pin` understand. */
export const TARGET_FLAGS: readonly Flag[] = [
  {
    name: 'include',
    isRepeated: true,
    description: "Only keys that match this glob, relative to the prefix, such as '**/*.safetensors'. May be repeated.",
  },
  { name: 'exclude', isRepeated: true, description: 'No keys that match this glob. May be repeated.' },
  {
    name: 'rate',
    description: 'The maximum of bytes per second from the origin, of all replicas together, such as 500Mi.',
  },
  { name: 'parallelism', description: 'Chunks at once, of all replicas together. Default: 32.' },
  { name: 'deadline', description: 'The time limit of the run, such as 2h. Default: none.' },
  {
    name: 'name',
    description: 'The name of the OrcaPrewarm. Default: the last part of the prefix, and five random characters.',
  },
];

export interface ManifestOptions {
  readonly flags: Flags;
  readonly target: S3Name;
  readonly cache: string;
  readonly namespace: string;
  readonly createdBy: string;
  /** Undefined = not pinned. `forever`, or a duration. */
  readonly pin: string | undefined;
  /** How long the resource stays after the run has ended; undefined = until a user deletes it. */
  readonly keepMs: number | undefined;
  /** A name that the API server completes, for one that is created; without, the same name every time. */
  readonly isGenerated: boolean;
}

export function manifestOf(options: ManifestOptions): Fields {
  const { flags, target, cache, namespace, createdBy, pin, keepMs, isGenerated } = options;
  const name = flags.text('name');
  const stem = stemOf(target);
  const [include, exclude] = [flags.texts('include'), flags.texts('exclude')];
  const rate = flags.text('rate');
  const parallelism = flags.text('parallelism');
  const deadline = flags.text('deadline');
  return {
    apiVersion: API_VERSION,
    kind: PREWARM.kind,
    metadata: {
      ...(name === undefined && isGenerated ? { generateName: `${stem}-` } : { name: name ?? stem }),
      namespace,
      labels: { [CREATED_BY]: createdBy },
    },
    spec: {
      cacheRef: { name: cache },
      targets: [
        {
          bucket: target.bucket,
          prefix: target.key,
          ...(include.length > 0 && { include }),
          ...(exclude.length > 0 && { exclude }),
        },
      ],
      ...(rate !== undefined && { maxBytesPerSecond: rateOf(rate) }),
      ...(parallelism !== undefined && { parallelism: parallelismOf(parallelism) }),
      ...(pin !== undefined && { pin: pinOf(pin) }),
      ...(deadline !== undefined && { activeDeadlineSeconds: secondsOf('--deadline', deadline) }),
      ...(keepMs !== undefined && { ttlSecondsAfterFinished: Math.round(keepMs / 1_000) }),
    },
  };
}

/** `llama-3-70b` of `s3://models/llama-3-70b/`. */
function stemOf({ bucket, key }: S3Name): string {
  const parts = [bucket, ...key.split('/')].map(nameOf).filter((part) => part !== '');
  return parts.at(-1) ?? 'prewarm';
}

function nameOf(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_STEM)
    .replaceAll(/^-+|-+$/g, '');
}

function rateOf(text: string): string {
  const bytes = parseQuantity(text.replace(/\/s$/, ''));
  if (bytes === undefined || bytes < MIN_RATE_BYTES)
    throw new UsageError(`--rate '${text}' is not a size of at least 1Mi, such as 500Mi`);
  return formatQuantity(bytes);
}

function parallelismOf(text: string): number {
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count < 1 || count > MAX_PARALLELISM)
    throw new UsageError(`--parallelism '${text}' is not a number from 1 to ${MAX_PARALLELISM}`);
  return count;
}

function pinOf(text: string): Fields {
  if (text === FOREVER) return {};
  return { ttl: formatDuration(durationOf('a pin', text, FOREVER)) };
}

function secondsOf(flag: string, text: string): number {
  return Math.max(1, Math.round(durationOf(flag, text) / 1_000));
}

/** In whole seconds. `orElse`: another text that the flag accepts. */
export function durationOf(what: string, text: string, orElse?: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1_000 || !Number.isSafeInteger(Math.round(ms)))
    throw new UsageError(
      `${what} '${text}' is not a duration such as 30m, 12h or 7d${orElse === undefined ? '' : `, or '${orElse}'`}`,
    );
  return Math.round(ms / 1_000) * 1_000;
}
