/**
 * The words that the resource's spec and the pod's config file have in common. A reason stands beside each default;
 * both end up in the reference page.
 */
import type { Schema } from './json-schema.ts';
import { bytes, choice, duration, flag, integer, size, text } from './words.ts';
import { parseQuantity } from '../quantity.ts';
import { parseDuration } from '../duration.ts';

/** Characters of an RFC 3986 host with an optional port; no user, no path, no query. */
const ENDPOINT_PATTERN = '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$|^https?://[[][0-9A-Fa-f:.]+](:[0-9]{1,5})?/?$';

/** What S3 servers accept as a bucket name, AWS's old names with capitals and underscores included. */
const BUCKET_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$';

export const originId = text(
  'Names the origin in every chunk path: another id is another, empty cache. Letters, digits, `.`, `_` and `-`.',
  {
    maxLength: 63,
    pattern: '^[A-Za-z0-9]([._-]?[A-Za-z0-9_-])*[.]?$',
    message: "must begin with a letter or digit, hold only letters, digits, '.', '_' and '-', and no '..'",
  },
);

export const originIdentity = {
  ...text(
    'Takes the place of the fingerprint (type, endpoint host, account) under which the origin id is registered in the ' +
      'cachestore, so that an endpoint can move. Empty: computed.',
    { maxLength: 253 },
  ),
  default: '',
} as const satisfies Schema;

const s3Fields = {
  endpoint: text('URL of the S3 server, without a path. Left out: AWS’s own endpoint of the region.', {
    maxLength: 253,
    pattern: ENDPOINT_PATTERN,
    message: 'must be http://host[:port] or https://host[:port], without user, path or query',
  }),
  region: {
    ...text('Region that requests are signed for. Default: what S3-compatible servers take when they have none.', {
      maxLength: 63,
      minLength: 1,
    }),
    default: 'us-east-1',
  },
  forcePathStyle: {
    ...flag(
      'Puts the bucket into the path instead of the host name; most S3-compatible servers need it. Default: what AWS wants.',
    ),
    default: false,
  },
} as const satisfies Record<string, Schema>;

export { s3Fields };

export const storeBucket = text('Bucket that holds the chunks; used by nothing else. Must exist.', {
  maxLength: 255,
  pattern: BUCKET_PATTERN,
  message: 'must be a bucket name',
});

export const buckets = {
  type: 'array',
  description: 'The allow-list: a bucket that is not on it does not exist for clients.',
  minItems: 1,
  maxItems: 100,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  items: {
    type: 'object',
    required: ['name'],
    properties: {
      name: text('What clients call the bucket.', {
        maxLength: 63,
        pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$',
        message: "must be a bucket name: 3 to 63 of a-z, 0-9, '.' and '-', beginning and ending with a letter or digit",
      }),
      originBucket: text('Its name at the origin. Left out: the same name.', {
        maxLength: 255,
        pattern: BUCKET_PATTERN,
        message: 'must be a bucket name',
      }),
      prefix: {
        ...text('Put before every key at the origin, as it stands (no `/` is added). Default: the whole bucket.', {
          maxLength: 512,
        }),
        default: '',
      },
      metadataTTL: duration('Overrides `metadata.ttl` for this bucket.', '0s', '720h'),
      immutable: {
        ...flag(
          'Promises that no object here ever changes, so what is known of one is never asked again. Default: no such promise.',
        ),
        default: false,
      },
    },
  },
} as const satisfies Schema;

export const targetGlobal = {
  ...integer(
    'Concurrent origin requests of all replicas together, divided among the live ones. Default: enough to fill a ' +
      '10 Gbit/s line with 8 MiB parts at 100 ms, and below where S3 begins to throttle one prefix.',
    1,
    100_000,
  ),
  default: 192,
} as const satisfies Schema;

export const queueTimeout = {
  ...duration(
    'How long a request waits for its turn at the origin before the client gets 503 SlowDown. Default: inside the first-byte patience of common SDKs.',
    '100ms',
    '60s',
  ),
  default: '5s',
} as const satisfies Schema;

export const retry = {
  type: 'object',
  description: 'How failed origin requests are repeated; the only retry layer there is.',
  default: {},
  properties: {
    attempts: {
      ...integer(
        'Requests in all, the first one included. Default: rides out a lost connection and one bad server.',
        1,
        10,
      ),
      default: 3,
    },
    backoffInitial: {
      ...duration(
        'Upper end of the first pause; pauses are random (full jitter) and double. Default: a few round trips.',
        '1ms',
        '10s',
      ),
      default: '100ms',
    },
    backoffMax: {
      ...duration('Upper end of every pause. Default: long enough for a throttling origin to recover.', '1ms', '60s'),
      default: '2s',
    },
    maxTotalDuration: {
      ...duration('All attempts before the first byte together. Default: a client still waits then.', '100ms', '60s'),
      default: '5s',
    },
  },
  'x-kubernetes-validations': [
    {
      rule:
        `!self.backoffInitial.matches('^[0-9]') || !self.backoffMax.matches('^[0-9]') || ` +
        'duration(self.backoffInitial) <= duration(self.backoffMax)',
      message: 'must not be above backoffMax',
      fieldPath: '.backoffInitial',
      holds: (value: { backoffInitial: string; backoffMax: string }) =>
        !((parseDuration(value.backoffInitial) ?? 0) > (parseDuration(value.backoffMax) ?? Infinity)),
    },
  ],
} as const satisfies Schema;

export const verifyRanges = {
  ...flag(
    'Widens every cachestore read to whole blocks, so that every byte is verified, at the price of up to two blocks more ' +
      'per read. Default: the cut blocks at the ends of a range are checked by length and ETag only.',
  ),
  default: false,
} as const satisfies Schema;

/** Chunks below are all overhead; above, four of them fill too much memory. */
const MIN_CHUNK = '1Mi';
const MAX_CHUNK = '1Gi';
const MAX_TIERS = 8;
const tierIndexes = Array.from({ length: MAX_TIERS - 1 }, (_, index) => index).join(', ');

export const chunkSize = {
  ...size(
    'Size of a chunk, the unit of fill and of commit. Default: one part of an S3 transfer.',
    MIN_CHUNK,
    MAX_CHUNK,
  ),
  default: '8Mi',
} as const satisfies Schema;

export const tiers = {
  type: 'array',
  description:
    'Larger chunks for larger objects, ascending; `[]` disables. Default: an object of 100 GiB has 800 chunks instead of 12 800.',
  maxItems: MAX_TIERS,
  default: [
    { minObjectSize: '1Gi', chunkSize: '64Mi' },
    { minObjectSize: '10Gi', chunkSize: '128Mi' },
  ],
  'x-kubernetes-list-type': 'atomic',
  items: {
    type: 'object',
    required: ['minObjectSize', 'chunkSize'],
    properties: {
      minObjectSize: size('Objects of at least so many bytes', '1', '100Ti'),
      chunkSize: size('use chunks of so many bytes.', MIN_CHUNK, MAX_CHUNK),
    },
  },
  'x-kubernetes-validations': [
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('minObjectSize')})`,
      message: 'must be strictly ascending in minObjectSize',
      holds: (list: readonly TierWords[]) => isAscending(list.map((tier) => tier.minObjectSize)),
    },
    {
      rule: `[${tierIndexes}].all(i, i + 1 >= size(self) || ${ascending('chunkSize')})`,
      message: 'must be strictly ascending in chunkSize',
      holds: (list: readonly TierWords[]) => isAscending(list.map((tier) => tier.chunkSize)),
    },
  ],
} as const satisfies Schema;

export interface TierWords {
  readonly minObjectSize: string | number;
  readonly chunkSize: string | number;
}

export const readahead = {
  ...integer(
    'Chunks that one response reads ahead of its client; 0 is off. Default: 64 MiB of base chunks, the most that one response may hold.',
    0,
    64,
  ),
  default: 8,
} as const satisfies Schema;

export const metadata = {
  type: 'object',
  description: 'What is remembered of objects: ETag, size, headers.',
  default: {},
  properties: {
    ttl: {
      ...duration(
        'How long an object is believed unchanged. Default: one HEAD per object and 5 minutes for the whole cluster.',
        '0s',
        '720h',
      ),
      default: '5m',
    },
    negativeTTL: {
      ...duration(
        'How long "no such object" is believed. Default: short, since uploads follow failed reads.',
        '0s',
        '24h',
      ),
      default: '60s',
    },
    staleIfError: {
      ...duration(
        'How long what is known is still served while the origin does not answer. Default: a day of outage.',
        '0s',
        '720h',
      ),
      default: '24h',
    },
    maxEntries: {
      ...integer('Objects remembered per replica. Default: about 100 MiB at 1 KiB each.', 1000, 10_000_000),
      default: 100_000,
    },
  },
} as const satisfies Schema;

export const catalog = {
  type: 'object',
  description: 'What is known to be in the cachestore.',
  default: {},
  properties: {
    maxEntries: {
      ...integer(
        'Chunks remembered per replica. Default: 800 GiB in chunks of 8 MiB, in about 20 MiB of memory.',
        1000,
        10_000_000,
      ),
      default: 100_000,
    },
  },
} as const satisfies Schema;

export const memory = {
  type: 'object',
  description: 'The memory of one replica.',
  default: {},
  properties: {
    budget: size(
      'All chunk bytes of the process: windows, fills, commits, memory tier. Holds at least four of the largest chunks. ' +
        'Left out: half of the container’s memory limit, 1Gi without a limit.',
      '4Mi',
      '1Ti',
    ),
  },
} as const satisfies Schema;

export const auth = {
  type: 'object',
  description: 'Who may read.',
  default: {},
  properties: {
    type: {
      ...choice('Anonymous: everybody who reaches the port. Default: the only one there is.', 'Anonymous'),
      default: 'Anonymous',
    },
  },
} as const satisfies Schema;

export const edgeRegion = {
  ...text('Region that clients are told. Default: what every SDK accepts without settings.', {
    maxLength: 63,
    minLength: 1,
  }),
  default: 'us-east-1',
} as const satisfies Schema;

export const maxConnections = {
  ...integer(
    'Client connections per replica; one more gets 503. Default: far above a node’s clients, far below its file handles.',
    1,
    100_000,
  ),
  default: 4096,
} as const satisfies Schema;

export const explain = {
  ...flag('Answers with an `X-Orca-Explain` header that tells each chunk’s path. Default: off, it is for debugging.'),
  default: false,
} as const satisfies Schema;

export const shutdown = {
  type: 'object',
  description: 'How a replica ends after SIGTERM.',
  default: {},
  properties: {
    propagationDelay: {
      ...duration(
        'Goes on accepting for so long. Default: what kube-proxy and load balancers need to notice.',
        '0s',
        '5m',
      ),
      default: '5s',
    },
    drainTimeout: {
      ...duration(
        'Then finishes running responses and fills for so long. Default: a few GiB to a slow client.',
        '0s',
        '1h',
      ),
      default: '60s',
    },
  },
} as const satisfies Schema;

export const logLevel = {
  ...choice('Least level that is logged.', 'debug', 'info', 'warn', 'error'),
  default: 'info',
} as const satisfies Schema;

function ascending(field: string): string {
  const [one, next] = [`self[i].${field}`, `self[i+1].${field}`];
  return `!isQuantity(string(${one})) || !isQuantity(string(${next})) || ${bytes(one)} < ${bytes(next)}`;
}

/** Words that are no size have a message of their own and break no order. */
function isAscending(sizes: readonly (string | number)[]): boolean {
  const known = sizes.map(parseQuantity);
  return known.every((value, index) => {
    const next = known[index + 1];
    return value === undefined || next === undefined || value < next;
  });
}
