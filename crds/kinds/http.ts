/** HTTP servers as origin: plain file servers, and hubs that redirect to another host. */
import { flag, objectReference, text, withDefault } from '#crds/schema/field-builders.ts';
import type { Rule } from '#crds/schema/json-schema.ts';
import { directory } from '#crds/schema/pod-path.ts';
import { BUCKET_MESSAGE, BUCKET_PATTERN } from '#crds/schema/upstream.ts';
import { caBundleRef, caFile } from './fields.ts';
import { CA_BUNDLE, type UpstreamKind } from './kind.ts';

/** An RFC 3986 URL without user, query and fragment. */
const BASE_URL_PATTERN =
  '^https?://([A-Za-z0-9.-]+|[[][0-9A-Fa-f:.]+])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&()*+,;=:@%-]*)*$';
/** Scheme, host and port. */
const SERVER_PATTERN = '^https?://[^/]+';
const HOST_PATTERN = '^([*][.])?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$';
/** URLs to which credentials may be sent: over http, they would be readable on the network. */
const CONFIDENTIAL_PATTERN = '^https://|^http://(localhost|127[.][0-9.]+|[[]::1])(:[0-9]{1,5})?(/|$)';

const shared = {
  urls: {
    type: 'array',
    description: 'URL of each bucket. All are on the same server, because an origin has one set of credentials.',
    minItems: 1,
    maxItems: 64,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['bucket'],
    items: {
      type: 'object',
      required: ['bucket', 'baseUrl'],
      properties: {
        bucket: text('Bucket at the origin: the `originBucket` of a bucket, or its `name` without one.', {
          maxLength: 255,
          pattern: BUCKET_PATTERN,
          message: BUCKET_MESSAGE,
        }),
        baseUrl: text('URL to which keys are appended, after a `/`.', {
          maxLength: 1024,
          pattern: BASE_URL_PATTERN,
          message: 'must be http://host[:port]/path or https://host[:port]/path, without user, query or fragment',
        }),
      },
    },
    'x-kubernetes-validations': [
      {
        rule: `self.all(u, u.baseUrl.find('${SERVER_PATTERN}') == self[0].baseUrl.find('${SERVER_PATTERN}'))`,
        message: 'must all have the same scheme, host and port; use another OrcaCache for another server',
        holds: (urls: readonly UrlFields[]) =>
          new Set(urls.map(({ baseUrl }) => new RegExp(SERVER_PATTERN).exec(baseUrl)?.[0])).size <= 1,
      },
    ],
  },
  redirectHosts: withDefault(
    {
      type: 'array',
      description:
        'Hosts to which the server may redirect, besides itself: `cdn.example.org`, or `*.example.org` for all its ' +
        'subdomains; with `:port` unless it is the default port. Credentials are never sent to them.',
      maxItems: 32,
      'x-kubernetes-list-type': 'set',
      items: text('A host name.', {
        maxLength: 253,
        pattern: HOST_PATTERN,
        message: 'must be host[:port] or *.host[:port], in lower case',
      }),
    } as const,
    [],
    'because a redirect to an unknown host would let the server choose what the pods connect to',
    'none',
  ),
  allowLastModified: withDefault(
    flag(
      'Accepts files without a strong ETag: time of modification and size then identify the version. A change within ' +
        'the same second that keeps the size is not noticed.',
    ),
    false,
    'because such a change would mix two versions',
  ),
} as const;

interface UrlFields {
  readonly bucket: string;
  readonly baseUrl: string;
}

interface HttpFields {
  readonly urls: readonly UrlFields[];
  readonly credentialsSecretRef?: object;
  readonly credentials?: object;
}

/** `member` holds the credentials. */
function credentialsNeedHttps(member: 'credentialsSecretRef' | 'credentials') {
  return {
    rule: `!has(self.${member}) || self.urls.all(u, u.baseUrl.matches('${CONFIDENTIAL_PATTERN}'))`,
    message: 'must be https if credentials are configured, because http would reveal them',
    fieldPath: '.urls',
    reads: ['urls', member],
    holds: (value: HttpFields) =>
      value[member] === undefined || value.urls.every(({ baseUrl }) => new RegExp(CONFIDENTIAL_PATTERN).test(baseUrl)),
  } as const satisfies Rule;
}

interface OriginFields {
  readonly http?: { readonly urls: readonly UrlFields[] };
  readonly buckets: readonly { readonly name: string; readonly originBucket?: string }[];
}

const everyBucketHasUrl = {
  rule:
    '!has(self.http) || self.buckets.all(b, has(b.originBucket) ? ' +
    'self.http.urls.exists(u, u.bucket == b.originBucket) : self.http.urls.exists(u, u.bucket == b.name))',
  message:
    'must have an item for every bucket: for its originBucket, or for its name without one; an HTTP server has no buckets for a pattern',
  fieldPath: '.http.urls',
  reads: ['http', 'buckets'],
  holds: ({ http, buckets }: OriginFields) =>
    http === undefined ||
    buckets.every(({ name, originBucket = name }) => http.urls.some(({ bucket }) => bucket === originBucket)),
} as const satisfies Rule;

const HTTP = {
  type: 'object',
  description: 'An HTTP server.',
  required: ['urls'],
} as const;

export const httpOrigin = {
  type: 'HTTP',
  member: 'http',
  spec: {
    ...HTTP,
    properties: {
      ...shared,
      credentialsSecretRef: objectReference(
        'Secret in the same namespace with either the key `token` (sent as Bearer) or the key `password` and usually ' +
          '`username` (sent as Basic). If omitted, requests carry no credentials.',
        'Secret',
      ),
      caBundleRef,
    },
    'x-kubernetes-validations': [credentialsNeedHttps('credentialsSecretRef')],
  },
  podFile: {
    ...HTTP,
    properties: {
      ...shared,
      credentials: directory(
        'Directory with the file `token`, or `password` and usually `username`; read again when they change. If ' +
          'omitted, requests carry no credentials.',
      ),
      caFile,
    },
    'x-kubernetes-validations': [credentialsNeedHttps('credentials')],
  },
  references: [{ kind: 'Secret', field: 'credentialsSecretRef', keys: [], oneOf: ['token', 'password'] }, CA_BUNDLE],
  rules: [everyBucketHasUrl],
} as const satisfies UpstreamKind;
