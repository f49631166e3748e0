/** The words for origin and cachestore that the resource's spec and the pod's config file have in common. */
import { DURATION_PATTERN, parseDuration } from '#crds/duration.ts';
import type { Schema } from './json-schema.ts';
import { duration, flag, integer, text } from './field-builders.ts';

/** Characters of an RFC 3986 host with an optional port; no user, no path, no query. */
const ENDPOINT_PATTERN = '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$|^https?://[[][0-9A-Fa-f:.]+](:[0-9]{1,5})?/?$';

/** What S3 servers accept as a bucket name, AWS's old names with capitals and underscores included. */
const BUCKET_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$';

export const originId = text(
  'Names the origin in every chunk path: another id is another, empty cache. Letters, digits, `.`, `_` and `-`.',
  {
    maxLength: 63,
    pattern: '^[A-Za-z0-9]([.]?[A-Za-z0-9_-])*[.]?$',
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

export const s3Fields = {
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

export const storeBucket = text('Bucket that holds the chunks; used by nothing else. Must exist.', {
  maxLength: 255,
  pattern: BUCKET_PATTERN,
  message: 'must be a bucket name',
});

/** The same, where the account may be in the path: at services whose host name does not say it. */
const AZURE_ENDPOINT_PATTERN =
  '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]{3,24})?/?$|^https?://[[][0-9A-Fa-f:.]+](:[0-9]{1,5})?(/[a-z0-9]{3,24})?/?$';

export const azureFields = {
  account: text('Name of the storage account.', {
    maxLength: 24,
    pattern: '^[a-z0-9]{3,24}$',
    message: 'must be the name of a storage account: 3 to 24 of a-z and 0-9',
  }),
  endpoint: text(
    'URL of the blob service; with the account as its path where the host name does not say it. Left out: ' +
      '`https://<account>.blob.core.windows.net`.',
    {
      maxLength: 253,
      pattern: AZURE_ENDPOINT_PATTERN,
      message: 'must be http://host[:port][/account] or https://host[:port][/account], without user or query',
    },
  ),
} as const satisfies Record<string, Schema>;

export const storeContainer = text('Container that holds the chunks; used by nothing else. Must exist.', {
  minLength: 3,
  maxLength: 63,
  pattern: '^[a-z0-9](-?[a-z0-9])*$',
  message: "must be a container name: 3 to 63 of a-z, 0-9 and single '-'",
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
    'Concurrent origin requests of all replicas together, divided among the live ones. Default: 64 for each of three.',
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
      // The API server asks rules of the default `{}` too, before the members have theirs.
      rule:
        `!has(self.backoffInitial) || !has(self.backoffMax) || ` +
        `!self.backoffInitial.matches('${DURATION_PATTERN}') || !self.backoffMax.matches('${DURATION_PATTERN}') || ` +
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
