/** Where credentials come from, in this order: a mounted directory, our environment variables, what the platform gives. */
import type { Problem } from '#crds/validate.ts';
import type { AzureCredentialsSource, CredentialsSource } from './config.ts';

export function resolveCredentials(
  directory: string | undefined,
  whose: 'ORIGIN' | 'CACHESTORE',
  env: Readonly<Record<string, string | undefined>>,
  mistakes: Problem[],
): CredentialsSource {
  if (directory !== undefined) return { kind: 'directory', path: directory };
  const accessKeyIdVar = `ORCA_${whose}_ACCESS_KEY_ID`;
  const secretAccessKeyVar = `ORCA_${whose}_SECRET_ACCESS_KEY`;
  const [hasId, hasSecret] = [isSet(env[accessKeyIdVar]), isSet(env[secretAccessKeyVar])];
  if (!hasId && !hasSecret) return { kind: 'default-chain' };
  // Falling through to the default chain would read with an identity that nobody meant.
  if (!hasId) mistakes.push({ path: [accessKeyIdVar], message: `is required with ${secretAccessKeyVar}` });
  if (!hasSecret) mistakes.push({ path: [secretAccessKeyVar], message: `is required with ${accessKeyIdVar}` });
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
