/** The API server as a pod sees it: address from the environment, token and CA from the mounted service account. */
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
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
/** Kubelet renews a token long before it expires; a minute is what the documentation asks of clients. */
const REREAD_MS = 60_000;

/** Throws where the process is not in a pod. */
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
    // The old agent is left to its running requests; its idle connections time out.
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

/** Never changes in a pod's life; a service account mounted by hand may lack it. */
function readNamespace(directory: string): string | undefined {
  try {
    return readFileSync(`${directory}/namespace`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
