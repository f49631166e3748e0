/**
 * Bearer tokens by Entra workload identity: the pod's projected token, reread for each exchange, is exchanged for an
 * Azure Storage token, which is used until shortly before it expires.
 */
import { readFile } from 'node:fs/promises';
import { OrcaError } from '#cache/core/errors.ts';
import { openRenewing, type Issued } from '#cache/wire/renewing.ts';
import { isLoopbackHost } from './address.ts';

/** The same in all clouds. */
const SCOPE = 'https://storage.azure.com/.default';
const PUBLIC_AUTHORITY = 'https://login.microsoftonline.com/';
/** Azure issues tokens for an hour or a day; a longer or missing lifetime counts as a day. */
const MAX_LIFETIME_MS = 86_400_000;

export interface WorkloadIdentityOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
}

/**
 * Nothing is read before the first call. Rejects with an OrcaError that names what is missing and never contains a
 * token.
 */
export function openWorkloadIdentity(options: WorkloadIdentityOptions = {}): () => Promise<string> {
  const env = options.env ?? process.env;
  return openRenewing({
    ...options,
    issue: (signal) => exchange(env, signal),
    late: (limitMs) => new OrcaError('internal', `the token exchange was not answered within ${limitMs} ms`),
  });
}

async function exchange(
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Issued<string>> {
  const tenant = variable(env, 'AZURE_TENANT_ID');
  const file = variable(env, 'AZURE_FEDERATED_TOKEN_FILE');
  const clientId = variable(env, 'AZURE_CLIENT_ID');
  const url = authority(env['AZURE_AUTHORITY_HOST'] ?? '', tenant);
  const assertion = await readToken(file);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    scope: SCOPE,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  });
  let status: number;
  let answer: unknown;
  try {
    // A redirect would send the assertion to another host.
    const response = await fetch(url, { method: 'POST', body: form, signal, redirect: 'error' });
    status = response.status;
    answer = await response.json();
  } catch (error) {
    throw new OrcaError('internal', `${url.host} did not answer the token exchange`, { cause: error });
  }
  const { access_token: text, expires_in: seconds, error_codes: codes } = fieldsOf(answer);
  if (status !== 200 || typeof text !== 'string' || text === '') {
    const reason = Array.isArray(codes) && Number.isInteger(codes[0]) ? ` (AADSTS${codes[0]})` : '';
    throw new OrcaError('internal', `${url.host} refused the token exchange: ${status}${reason}`, { status });
  }
  if (!/^[\x21-\x7e]+$/.test(text)) throw new OrcaError('internal', `${url.host} returned a malformed token`);
  const lifetimeMs = Number(seconds) * 1000;
  return { value: text, lifetimeMs: lifetimeMs > 0 ? Math.min(lifetimeMs, MAX_LIFETIME_MS) : MAX_LIFETIME_MS };
}

function authority(host: string, tenant: string): URL {
  const base = host === '' ? PUBLIC_AUTHORITY : host.endsWith('/') ? host : `${host}/`;
  const url = URL.parse(`${encodeURIComponent(tenant)}/oauth2/v2.0/token`, base);
  if (url === null || (url.protocol !== 'https:' && !isLoopbackHost(url.hostname)))
    throw new OrcaError('internal', 'AZURE_AUTHORITY_HOST must be an https:// URL');
  return url;
}

async function readToken(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new OrcaError('internal', `the token file ${file} can't be read`, { cause: error });
  }
  if (text === '') throw new OrcaError('internal', `the token file ${file} is empty`);
  return text;
}

function variable(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]?.trim() ?? '';
  if (value === '')
    throw new OrcaError(
      'internal',
      `no Azure credentials: neither a credentials directory nor an account key is configured, and ${name} is not set`,
    );
  return value;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
