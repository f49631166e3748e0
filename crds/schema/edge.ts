/** The words for what clients talk to that the resource's spec and the pod's config file have in common. */
import type { Rule, Schema } from './json-schema.ts';
import { choice, duration, flag, integer, text } from './field-builders.ts';

export const authType = {
  ...choice(
    'Anonymous: everybody who reaches the port. Bearer: who sends `Authorization: Bearer` and a token. SigV4: who signs ' +
      'as for S3, in headers or in the URL. Default: what needs no keys; the network decides.',
    'Anonymous',
    'Bearer',
    'SigV4',
  ),
  default: 'Anonymous',
} as const satisfies Schema;

/** CEL and its twin: keys are named exactly where there are some. */
export function keysUnlessAnonymous(member: string) {
  return {
    // The API server asks rules of the default `{}` too, before the member has its own.
    rule: `!has(self.type) || (self.type == 'Anonymous') == !has(self.${member})`,
    message: 'must be set exactly when type is Bearer or SigV4',
    fieldPath: `.${member}`,
    reads: ['type'],
    holds: (value: { readonly type: string }) => (value.type === 'Anonymous') === !(member in value),
  } as const satisfies Rule;
}

export const edgeRegion = {
  ...text('Region that clients are told. Default: what every SDK accepts without settings.', {
    maxLength: 63,
    minLength: 1,
  }),
  default: 'us-east-1',
} as const satisfies Schema;

export const maxConnections = {
  ...integer(
    'Client connections per replica. When all are taken, one on which nothing is being answered makes way for a new one; if there is none, the new ' +
      'one gets 503. Default: far above a node’s clients, far below its file handles.',
    1,
    100_000,
  ),
  default: 4096,
} as const satisfies Schema;

export const virtualHostDomains = {
  type: 'array',
  description:
    'Domains under which a bucket may stand in the host name (`BUCKET.DOMAIN`), besides in the path; DNS has to lead there. Default: in the path only.',
  default: [],
  maxItems: 16,
  'x-kubernetes-list-type': 'set',
  items: text('One of them, without a port.', {
    maxLength: 253,
    pattern: '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$',
    message: "must be a domain in small letters: a-z, 0-9, '.' and '-'",
  }),
} as const satisfies Schema;

export const corsOrigins = {
  type: 'array',
  description: 'Web origins whose pages may read from browsers; `*` is all. Default: none.',
  default: [],
  maxItems: 64,
  'x-kubernetes-list-type': 'set',
  items: text('One of them, as browsers send it: `https://host[:port]`.', {
    maxLength: 320,
    pattern: '^([*]|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$',
    message: 'must be * or http(s)://host[:port]',
  }),
} as const satisfies Schema;

export const listTTL = {
  ...duration(
    'How long a replica answers the same list from memory; 0 asks the origin each time. Default: a tool that walks a tree asks twice within it.',
    '0s',
    '1h',
  ),
  default: '5s',
} as const satisfies Schema;

export const explain = {
  ...flag('Answers with an `X-Orca-Explain` header that tells each chunk’s path. Default: off, it is for debugging.'),
  default: false,
} as const satisfies Schema;
