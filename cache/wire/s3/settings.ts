/** Resolves the fields of an S3 server in the config file and the environment to the settings of its client. Pure. */
import type { CredentialsSource } from '#cache/wire/credentials-source.ts';
import { isSet, variableName, type ResolveContext } from '#cache/wire/resolve-context.ts';
import type { PodFields } from '#crds/kinds/registry.ts';
import type { s3Store } from '#crds/kinds/s3.ts';

export interface S3Settings {
  /** Empty = the AWS endpoint of the region. */
  readonly endpoint: string;
  readonly region: string;
  readonly forcePathStyle: boolean;
  readonly credentials: CredentialsSource;
  /** PEM bundle to trust in addition to the system's; empty = none. */
  readonly caFile: string;
}

/** The fields that origins and cachestores share, and `anonymous` of an origin. */
type Fields = Omit<PodFields<typeof s3Store>, 'bucket'> & { readonly anonymous?: boolean };

export function resolveS3(fields: Fields, context: ResolveContext): S3Settings {
  return {
    endpoint: (fields.endpoint ?? '').replace(/\/$/, ''),
    region: fields.region,
    forcePathStyle: fields.forcePathStyle,
    credentials:
      fields.anonymous === true
        ? withoutCredentials(context)
        : resolveCredentials(fields.credentials?.directory, context),
    caFile: fields.caFile,
  };
}

function withoutCredentials(context: ResolveContext): CredentialsSource {
  for (const setting of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY']) {
    const name = variableName(context, setting);
    if (isSet(context, name))
      context.problems.push({
        path: [name],
        message: `must not be set if ${context.path.join('.')}.anonymous is true`,
      });
  }
  return { kind: 'anonymous' };
}

/** In this order: mounted directory, ORCA_* environment variables, platform identity. */
function resolveCredentials(directory: string | undefined, context: ResolveContext): CredentialsSource {
  if (directory !== undefined) return { kind: 'directory', path: directory };
  const accessKeyIdVar = variableName(context, 'ACCESS_KEY_ID');
  const secretAccessKeyVar = variableName(context, 'SECRET_ACCESS_KEY');
  const [hasId, hasSecret] = [isSet(context, accessKeyIdVar), isSet(context, secretAccessKeyVar)];
  if (!hasId && !hasSecret) return { kind: 'default-chain' };
  // Falling back to the default chain would use an identity that the user did not intend.
  const missing = (name: string, other: string): void => {
    context.problems.push({ path: [name], message: `must be set when ${other} is set` });
  };
  if (!hasId) missing(accessKeyIdVar, secretAccessKeyVar);
  if (!hasSecret) missing(secretAccessKeyVar, accessKeyIdVar);
  return { kind: 'env', accessKeyIdVar, secretAccessKeyVar };
}
