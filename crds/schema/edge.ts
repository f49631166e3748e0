/** Fields of the edge, the client-facing listener, that the resource's spec and the pod's config file share. */
import { choice, duration, flag, integer, text, withDefault } from './field-builders.ts';
import type { Rule, Schema } from './json-schema.ts';

export const authType = withDefault(
  choice(
    'Anonymous: every client that reaches the port may read. Bearer: clients send `Authorization: Bearer` with a ' +
      'token. SigV4: clients sign requests as for S3, in headers or as presigned URLs.',
    'Anonymous',
    'Bearer',
    'SigV4',
  ),
  'Anonymous',
  'which needs no keys and leaves access control to the network',
);

/** CEL and TypeScript: the keys are referenced exactly when `type` needs keys. */
export function keysUnlessAnonymous(member: string) {
  return {
    // The API server also evaluates rules against the default `{}`, before the member gets its default.
    rule: `!has(self.type) || (self.type == 'Anonymous') == !has(self.${member})`,
    message: 'must be set exactly when type is Bearer or SigV4',
    fieldPath: `.${member}`,
    reads: ['type'],
    holds: (value: { readonly type: string }) => (value.type === 'Anonymous') === !(member in value),
  } as const satisfies Rule;
}

export const edgeRegion = withDefault(
  text('Region that is reported to clients.', { maxLength: 63, minLength: 1 }),
  'us-east-1',
  'which every SDK accepts without configuration',
);

export const maxConnections = withDefault(
  integer(
    'Maximum number of client connections per replica. At the limit, a new connection replaces an idle one. Without ' +
      'an idle one, the new connection gets 503.',
    1,
    100_000,
  ),
  4096,
  'far more than the clients of one node open, and far less than its file descriptors',
);

export const virtualHostDomains = withDefault(
  {
    type: 'array',
    description:
      'Domains for virtual-hosted addressing (`BUCKET.DOMAIN`), in addition to path-style addressing. DNS must ' +
      'resolve these names to the cache.',
    maxItems: 16,
    'x-kubernetes-list-type': 'set',
    items: text('A domain, without a port.', {
      maxLength: 253,
      pattern: '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$',
      message: "must be a domain in lower case: a-z, 0-9, '.' and '-'",
    }),
  } as const,
  [],
  'because virtual hosts need DNS records',
  'none',
);

export const corsOrigins = withDefault(
  {
    type: 'array',
    description: 'Web origins whose pages may read through CORS; `*` allows all.',
    maxItems: 64,
    'x-kubernetes-list-type': 'set',
    items: text('An origin as browsers send it: `https://host[:port]`.', {
      maxLength: 320,
      pattern: '^([*]|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$',
      message: 'must be *, http://host[:port] or https://host[:port]',
    }),
  } as const,
  [],
  'because most clients are not browsers',
  'none',
);

export const listTTL = withDefault(
  duration(
    'How long a replica answers an identical list request from memory; 0s sends every request to the origin.',
    '0s',
    '1h',
  ),
  '5s',
  'because a tool that walks a tree repeats its requests within seconds',
);

export const ignoreClientCacheControl = withDefault(
  flag(
    'Ignores the `Cache-Control` header of requests. Otherwise `no-cache` and `max-age` make the cache query the ' +
      'origin again, and `only-if-cached` is answered with what is stored, or 504.',
  ),
  false,
  'because HTTP gives clients this choice',
);

export const accessLog = {
  type: 'object',
  description:
    'Logs client requests on stdout, for audits, whatever `logLevel` is. If omitted, only failures are logged.',
  properties: {
    format: withDefault(
      choice(
        'json: one JSON document for each request. s3: the format of the server access logs of S3, for which tools exist.',
        'json',
        's3',
      ),
      'json',
      'like all other lines of the log',
    ),
    sample: withDefault(
      integer('One of this many requests is logged, chosen at random.', 1, 1_000_000),
      1,
      'because an audit needs every request',
    ),
  },
} as const satisfies Schema;

export const explain = withDefault(
  flag(
    'Adds an `X-Orca-Explain` header to responses, with the source of the first bytes and the coordinators of the chunks.',
  ),
  false,
  'because it is meant for debugging',
);
