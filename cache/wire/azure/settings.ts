/**
 * Resolves the fields of a storage account in the config file and the environment to the settings of its client. Pure.
 */
import { isSet, variableName, type ResolveContext } from '#cache/wire/resolve-context.ts';
import type { azureBlobStore } from '#crds/kinds/azure-blob.ts';
import type { PodFields } from '#crds/kinds/registry.ts';
import { azureAddress } from './address.ts';
import type { AzureCredentialsSource } from './credentials.ts';

export interface AzureSettings {
  readonly account: string;
  /** Empty = the account's endpoint in the public cloud. */
  readonly endpoint: string;
  readonly credentials: AzureCredentialsSource;
  /** PEM bundle to trust in addition to the system's; empty = none. */
  readonly caFile: string;
}

/** The fields that origins and cachestores share, and `anonymous` of an origin. */
type Fields = Omit<PodFields<typeof azureBlobStore>, 'container'> & { readonly anonymous?: boolean };

export function resolveAzure(fields: Fields, context: ResolveContext): AzureSettings {
  const { account, caFile } = fields;
  const endpoint = (fields.endpoint ?? '').replace(/\/$/, '');
  const credentials: AzureCredentialsSource =
    fields.anonymous === true
      ? withoutCredentials(context)
      : resolveCredentials(fields.credentials?.directory, context);
  const { base, isTls, isLoopback } = azureAddress({ account, endpoint });
  if (credentials.kind === 'default-chain' && !isTls && !isLoopback)
    context.problems.push({
      path: [...context.path, 'endpoint'],
      message: `must be https if no account key is configured: a bearer token is not sent over http to ${base}`,
    });
  return { account, endpoint, credentials, caFile };
}

function withoutCredentials(context: ResolveContext): AzureCredentialsSource {
  const name = variableName(context, 'ACCOUNT_KEY');
  if (isSet(context, name))
    context.problems.push({ path: [name], message: `must not be set if ${context.path.join('.')}.anonymous is true` });
  return { kind: 'anonymous' };
}

/** In this order: mounted directory, ORCA_* environment variable, default chain. */
function resolveCredentials(directory: string | undefined, context: ResolveContext): AzureCredentialsSource {
  if (directory !== undefined) return { kind: 'directory', path: directory };
  const accountKeyVar = variableName(context, 'ACCOUNT_KEY');
  return isSet(context, accountKeyVar) ? { kind: 'env', accountKeyVar } : { kind: 'default-chain' };
}
