/** The endpoints of the Services for clients on this machine: their cluster IPs, or `kubectl port-forward`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import type { Kubectl } from './kubectl.ts';
import { CACHE, NAMESPACE, PORT } from './names.ts';
import { PROXY_PORTS } from './servers.ts';

export interface Endpoints extends AsyncDisposable {
  readonly origin: string;
  readonly store: string;
  readonly edge: string;
}

const FORWARD_START_MS = 30_000;
const FORWARD_POLL_MS = 100;
/** Delay before a broken port-forward is restarted. */
const FORWARD_RETRY_MS = 300;
const STOP_MS = 5_000;
const HTTP_PORT = 80;
/** Longer than the lines that kubectl prints for all ports. */
const OUTPUT_CHARACTERS = 4096;

async function serviceEndpoint(kubectl: Kubectl, service: string, port: number): Promise<string> {
  const ip = await kubectl.field(['-n', NAMESPACE, 'service', service], '{.spec.clusterIP}');
  if (ip === '') throw new Failure(`Service ${service} has no cluster IP`);
  return `http://${ip}${port === HTTP_PORT ? '' : `:${port}`}`;
}

/** This machine has a route to the cluster IPs of `hack/cluster`. The edge Service is created with the cache. */
export async function serviceEndpoints(kubectl: Kubectl): Promise<Omit<Endpoints, 'edge' | keyof AsyncDisposable>> {
  return {
    origin: await serviceEndpoint(kubectl, 'origin', PORT.s3),
    store: await serviceEndpoint(kubectl, 'store', PORT.s3),
  };
}

export function edgeEndpoint(kubectl: Kubectl): Promise<string> {
  return serviceEndpoint(kubectl, CACHE, PORT.edge);
}

export async function openPortForward(kubeconfig: string, signal: AbortSignal): Promise<Endpoints> {
  const forward = new PortForward(kubeconfig);
  try {
    await forward.ready(signal);
  } catch (error) {
    await forward.stop();
    throw error;
  }
  return {
    origin: forward.url(PROXY_PORTS.origin),
    store: forward.url(PROXY_PORTS.store),
    edge: forward.url(PROXY_PORTS.edge),
    [Symbol.asyncDispose]: () => forward.stop(),
  };
}

/** Keeps `kubectl port-forward` running: it exits when its connection to the API server ends. */
class PortForward {
  readonly #kubeconfig: string;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  /** Remote port → local port, chosen by the first kubectl and reused by the next ones. */
  #localPorts: ReadonlyMap<number, number> | undefined;
  #child: ChildProcess | undefined;
  #lastError = '';

  constructor(kubeconfig: string) {
    this.#kubeconfig = kubeconfig;
    this.#running = this.#run();
  }

  async ready(signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + FORWARD_START_MS;
    while (this.#localPorts === undefined) {
      if (performance.now() > deadlineMs)
        throw new Failure(`kubectl port-forward timed out after ${FORWARD_START_MS / 1000} s: ${this.#lastError}`);
      await delay(FORWARD_POLL_MS, undefined, { signal });
    }
  }

  url(remotePort: number): string {
    return `http://127.0.0.1:${this.#localPorts?.get(remotePort)}`;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill('SIGTERM');
    await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })]);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#runOnce();
      if (!this.#stopping.signal.aborted) await delay(FORWARD_RETRY_MS);
    }
  }

  async #runOnce(): Promise<void> {
    const routes = Object.values(PROXY_PORTS).map((port) => `${this.#localPorts?.get(port) ?? ''}:${port}`);
    const child = spawn(
      'kubectl',
      [`--kubeconfig=${this.#kubeconfig}`, '-n', NAMESPACE, 'port-forward', 'deployment/tcp-proxy', ...routes],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    this.#child = child;
    let output = '';
    child.stdout.on('data', (piece: Buffer) => {
      output = (output + String(piece)).slice(-OUTPUT_CHARACTERS);
      const ports = forwardedPorts(output);
      if (ports.size === routes.length) this.#localPorts = ports;
    });
    child.stderr.on('data', (piece: Buffer) => (this.#lastError = String(piece).trim()));
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('error', (error) => {
      this.#lastError = error.message;
      resolve();
    });
    child.once('close', () => resolve());
    await promise;
  }
}

function forwardedPorts(output: string): Map<number, number> {
  const lines = output.matchAll(/^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)$/gm);
  return new Map([...lines].map(([, local, remote]) => [Number(remote), Number(local)]));
}
