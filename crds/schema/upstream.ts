/** Fields of the origin and the cachestore that the resource's spec and the pod's config file share. */
import { DURATION_PATTERN, parseDuration } from '#crds/duration.ts';
import { duration, flag, integer, text, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

/** Bucket names that S3 servers accept, including AWS's legacy names with capitals and underscores. */
export const BUCKET_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$';
export const BUCKET_MESSAGE =
  "must be a bucket name: 3 to 255 letters, digits, '.', '_' and '-', beginning and ending with a letter or digit";

export const originId = text(
  'Identifies the origin in the path of every chunk, so origins with different ids share no chunks. Letters, digits, ' +
    '`.`, `_` and `-`.',
  {
    maxLength: 63,
    pattern: '^[A-Za-z0-9]([.]?[A-Za-z0-9_-])*[.]?$',
    message:
      "must begin with a letter or digit and contain only letters, digits, '.', '_' and '-', without two '.' in a row",
  },
);

export const originIdentity = withDefault(
  text(
    'Overrides the fingerprint (type, endpoint host, account) under which the origin id is registered in the ' +
      'cachestore. Set it to move an origin to another endpoint without losing its cached chunks.',
    { maxLength: 253 },
  ),
  '',
  'which uses the computed fingerprint',
  'empty',
);

/**
 * A ConfigMap holds 1 MiB, which is what as many names, originBuckets and prefixes of the maximum length take. Patterns
 * serve accounts with more buckets.
 */
const MAX_BUCKETS = 1_000;

interface BucketFields {
  readonly name: string;
  readonly originBucket?: string;
}

export const buckets = {
  type: 'array',
  description:
    'Allow-list of buckets. For clients, a bucket that is not listed does not exist. A name counts before a pattern, ' +
    'and a longer pattern before a shorter one.',
  minItems: 1,
  maxItems: MAX_BUCKETS,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  items: {
    type: 'object',
    required: ['name'],
    properties: {
      name: text(
        'Name of the bucket for clients; or a pattern, such as `team-*`, that serves every bucket of the origin whose ' +
          'name begins so.',
        {
          maxLength: 63,
          pattern: '^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|[a-z0-9][a-z0-9.-]{0,61}[*])$',
          message:
            "must be a bucket name: 3 to 63 characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or " +
            "digit; or the beginning of bucket names, followed by '*'",
        },
      ),
      originBucket: text(
        'Name of the bucket at the origin. If omitted, the same as `name`. For a pattern it is one too: with `name: ' +
          'team-*` and `originBucket: acme-*`, clients read `acme-red` as `team-red`.',
        {
          maxLength: 255,
          pattern: '^([A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,253}[*])$',
          message: `${BUCKET_MESSAGE}; or the beginning of bucket names, followed by '*'`,
        },
      ),
      prefix: withDefault(
        text('Prepended to every key at the origin, exactly as written (no `/` is added).', { maxLength: 512 }),
        '',
        'which exposes the whole bucket',
        'empty',
      ),
      metadataTTL: duration('Overrides `metadata.ttl` for this bucket.', '0s', '720h'),
      immutable: withDefault(
        flag('States that no object in this bucket ever changes, so cached metadata is never revalidated.'),
        false,
        'because most buckets give no such guarantee',
      ),
    },
    'x-kubernetes-validations': [
      {
        rule: "!has(self.originBucket) || self.originBucket.endsWith('*') == self.name.endsWith('*')",
        message: "must end with '*' exactly if name does",
        fieldPath: '.originBucket',
        reads: ['name', 'originBucket'],
        holds: ({ name, originBucket = name }: BucketFields) => originBucket.endsWith('*') === name.endsWith('*'),
      },
    ],
  },
} as const satisfies Schema;

export const targetGlobal = withDefault(
  integer(
    'Maximum number of concurrent origin requests of all replicas together; the live replicas divide it among ' +
      'themselves.',
    1,
    100_000,
  ),
  192,
  'which gives each of three replicas 64',
);

export const queueTimeout = withDefault(
  duration('How long a request may wait for an origin slot before the client gets 503 SlowDown.', '100ms', '60s'),
  '5s',
  'which is below the first-byte timeouts of common SDKs',
);

export const retry = {
  type: 'object',
  description: 'How failed origin requests are retried. No other layer retries them.',
  default: {},
  properties: {
    attempts: withDefault(
      integer('Maximum number of requests, including the first.', 1, 10),
      3,
      'which survives a lost connection followed by a bad server',
    ),
    backoffInitial: withDefault(
      duration(
        'Upper bound of the first delay. Delays are random (full jitter), and the bound doubles with each attempt.',
        '1ms',
        '10s',
      ),
      '100ms',
      'a few round trips',
    ),
    backoffMax: withDefault(
      duration('Upper bound of every delay.', '1ms', '60s'),
      '2s',
      'long enough for a throttling origin to recover',
    ),
    maxTotalDuration: withDefault(
      duration('Maximum duration of all attempts together, until the first byte.', '100ms', '60s'),
      '5s',
      'because most clients are still waiting then',
    ),
  },
  'x-kubernetes-validations': [
    {
      // The API server also evaluates rules against the default `{}`, before the members get their defaults.
      rule:
        `!has(self.backoffInitial) || !has(self.backoffMax) || ` +
        `!self.backoffInitial.matches('${DURATION_PATTERN}') || !self.backoffMax.matches('${DURATION_PATTERN}') || ` +
        'duration(self.backoffInitial) <= duration(self.backoffMax)',
      message: 'must not exceed backoffMax',
      fieldPath: '.backoffInitial',
      holds: (value: { backoffInitial: string; backoffMax: string }) =>
        !((parseDuration(value.backoffInitial) ?? 0) > (parseDuration(value.backoffMax) ?? Infinity)),
    },
  ],
} as const satisfies Schema;

export const verifyRanges = withDefault(
  flag(
    'Widens every cachestore read to whole checksum blocks, so that every byte is verified. Costs up to two ' +
      'extra blocks per read.',
  ),
  false,
  'which checks the partial blocks at the ends of a range by length and ETag only',
);
