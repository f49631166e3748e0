/** Fields that several kinds of origins and cachestores share. */
import { objectReference, text, withDefault } from '#crds/schema/field-builders.ts';
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
