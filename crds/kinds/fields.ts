/** Fields that several kinds of origins and cachestores share. */
import { flag, objectReference, text, withDefault } from '#crds/schema/field-builders.ts';
import type { Rule } from '#crds/schema/json-schema.ts';
import { MAX_PATH_LENGTH } from '#crds/schema/pod-path.ts';

/** An RFC 3986 host with an optional port; no user, path or query. */
const ENDPOINT_PATTERN = '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$|^https?://[[][0-9A-Fa-f:.]+](:[0-9]{1,5})?/?$';

/** The URL of a server, without a path. */
export function endpointField(description: string) {
  return text(description, {
    maxLength: 253,
    pattern: ENDPOINT_PATTERN,
    message: 'must be http://host[:port] or https://host[:port], without user, path or query',
  });
}

/** In the resource: a reference to the CA bundle. */
export const caBundleRef = objectReference(
  'ConfigMap in the same namespace. Its key `ca.crt` holds certificates to trust in addition to the system’s.',
  'ConfigMap',
);

/** In the pod's config file: the path of the CA bundle. */
export const caFile = withDefault(
  text('File with certificates to trust in addition to the system’s.', { maxLength: MAX_PATH_LENGTH }),
  '',
  'which trusts only the system’s',
  'empty',
);

/** Reading without credentials. */
export function anonymousField(description: string) {
  return withDefault(flag(description), false, 'because most origins need credentials');
}

interface CredentialFields {
  readonly anonymous?: boolean;
  readonly credentialsSecretRef?: object;
  readonly credentials?: object;
}

/** `member` holds the credentials. */
export function anonymousWithoutCredentials(member: 'credentialsSecretRef' | 'credentials') {
  return {
    rule: `!(has(self.anonymous) && self.anonymous && has(self.${member}))`,
    message: 'must not be set if anonymous is true: requests then carry no credentials',
    fieldPath: `.${member}`,
    reads: ['anonymous', member],
    holds: (value: CredentialFields) => value.anonymous !== true || value[member] === undefined,
  } as const satisfies Rule;
}
