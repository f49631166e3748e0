/** The API server from inside a pod: address from the environment, token and CA from the mounted service account. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { systemClock, type Clock } from '#shared/clock.ts';
import { AGENT_OPTIONS, type ApiServer } from './api-request.ts';

export interface InClusterOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The mounted service account. */
  readonly directory?: string;
  readonly clock?: Clock;
}

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';
/**
 * The kubelet renews tokens long before they expire. Kubernetes recommends that clients reread the file every minute.
 */
const REREAD_MS = 60_000;

/** Throws if the process does not run in a pod. */
export function openInCluster(options: InClusterOptions = {}): ApiServer {
  const env = options.env ?? process.env;
  const directory = options.directory ?? SERVICE_ACCOUNT_DIRECTORY;
  const clock = options.clock ?? systemClock;
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '')
    throw new Error('KUBERNETES_SERVICE_HOST is not set: this process does not run in a pod');

  let token = '';
  let ca = '';
  let agent: Agent | undefined;
  let readAtMs: number | undefined;

  async function read(): Promise<Agent> {
    if (agent !== undefined && readAtMs !== undefined && clock.now() - readAtMs < REREAD_MS) return agent;
    const [newToken, newCa] = await Promise.all([
      readFile(`${directory}/token`, 'utf8'),
      readFile(`${directory}/ca.crt`, 'utf8'),
    ]);
    token = newToken.trim();
    // Running requests keep the old agent; its idle connections time out.
    if (agent === undefined || newCa !== ca) agent = new Agent({ ...AGENT_OPTIONS, ca: newCa });
    ca = newCa;
    readAtMs = clock.now();
    return agent;
  }

  return {
    url: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    namespace: readNamespace(directory),
    async authorize() {
      const current = await read();
      return { agent: current, headers: { authorization: `Bearer ${token}` } };
    },
    forget() {
      readAtMs = undefined;
    },
  };
}

/** Constant for the lifetime of a pod. A manually mounted service account may lack the file. */
function readNamespace(directory: string): string | undefined {
  try {
    return readFileSync(`${directory}/namespace`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
