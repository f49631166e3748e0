/** Resolves where credentials are read, in this order: mounted directory, ORCA_* environment variables, platform identity. */
import type { Problem } from '#crds/validate.ts';
import type { AzureCredentialsSource, CredentialsSource } from './config.ts';

export function resolveCredentials(
  directory: string | undefined,
  whose: 'ORIGIN' | 'CACHESTORE',
  env: Readonly<Record<string, string | undefined>>,
  problems: Problem[],
): CredentialsSource {
  if (directory !== undefined) return { kind: 'directory', path: directory };
  const accessKeyIdVar = `ORCA_${whose}_ACCESS_KEY_ID`;
  const secretAccessKeyVar = `ORCA_${whose}_SECRET_ACCESS_KEY`;
  const [hasId, hasSecret] = [isSet(env[accessKeyIdVar]), isSet(env[secretAccessKeyVar])];
  if (!hasId && !hasSecret) return { kind: 'default-chain' };
  // Falling back to the default chain would use an identity that the user did not intend.
  if (!hasId) problems.push({ path: [accessKeyIdVar], message: `must be set when ${secretAccessKeyVar} is set` });
  if (!hasSecret) problems.push({ path: [secretAccessKeyVar], message: `must be set when ${accessKeyIdVar} is set` });
  return { kind: 'env', accessKeyIdVar, secretAccessKeyVar };
}

export function resolveAzureCredentials(
  directory: string | undefined,
  whose: 'ORIGIN' | 'CACHESTORE',
  env: Readonly<Record<string, string | undefined>>,
): AzureCredentialsSource {
  if (directory !== undefined) return { kind: 'directory', path: directory };
  const accountKeyVar = `ORCA_${whose}_ACCOUNT_KEY`;
  return isSet(env[accountKeyVar]) ? { kind: 'env', accountKeyVar } : { kind: 'workload-identity' };
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
