/** How clients on this machine get to Services: by their addresses, or through a relay pod and `kubectl port-forward`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import type { Kubectl } from './kubectl.ts';
import { CACHE, NAMESPACE, PORT } from './names.ts';
import { RELAY_PORTS } from './servers.ts';

export interface Reach extends AsyncDisposable {
  readonly origin: string;
  readonly store: string;
  readonly edge: string;
}

const FORWARD_START_MS = 30_000;
const FORWARD_POLL_MS = 100;
/** Between a forward that broke and the next. */
const FORWARD_AGAIN_MS = 300;
const STOP_MS = 5_000;
const HTTP_PORT = 80;

export async function serviceAddress(kubectl: Kubectl, service: string, port: number): Promise<string> {
  const ip = await kubectl.field(['-n', NAMESPACE, 'service', service], '{.spec.clusterIP}');
  if (ip === '') throw new Failure(`Service ${service} has no address`);
  return `http://${ip}${port === HTTP_PORT ? '' : `:${port}`}`;
}

/** Services of `hack/cluster` have addresses that this machine routes to. The edge's comes with the cache. */
export async function reachDirectly(kubectl: Kubectl): Promise<Omit<Reach, 'edge' | keyof AsyncDisposable>> {
  return {
    origin: await serviceAddress(kubectl, 'origin', PORT.s3),
    store: await serviceAddress(kubectl, 'store', PORT.s3),
  };
}

export function edgeDirectly(kubectl: Kubectl): Promise<string> {
  return serviceAddress(kubectl, CACHE, PORT.edge);
}

/** A forward ends when its connection to the API server does: it is begun again on the same local ports. */
export async function reachByRelay(kubeconfig: string, signal: AbortSignal): Promise<Reach> {
  let ports: ReadonlyMap<number, number> | undefined;
  let child: ChildProcess | undefined;
  let lastWords = '';
  const stopping = new AbortController();

  async function forwardOnce(): Promise<void> {
    const routes = Object.values(RELAY_PORTS).map((port) => `${ports?.get(port) ?? ''}:${port}`);
    const started = spawn(
      'kubectl',
      [`--kubeconfig=${kubeconfig}`, '-n', NAMESPACE, 'port-forward', 'deployment/relay', ...routes],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    child = started;
    let output = '';
    started.stdout.on('data', (piece: Buffer) => {
      output += String(piece);
      const found = new Map(
        [...output.matchAll(/^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)$/gm)].map(([, local, remote]) => [
          Number(remote),
          Number(local),
        ]),
      );
      if (found.size === routes.length) ports = found;
      output = output.slice(-4096);
    });
    started.stderr.on('data', (piece: Buffer) => (lastWords = String(piece).trim()));
    const { promise, resolve } = Promise.withResolvers<void>();
    started.once('error', (error) => {
      lastWords = error.message;
      resolve();
    });
    started.once('close', () => resolve());
    await promise;
  }

  async function forward(): Promise<void> {
    while (!stopping.signal.aborted) {
      await forwardOnce();
      if (!stopping.signal.aborted) await delay(FORWARD_AGAIN_MS);
    }
  }

  const forwarding = forward();
  const stop = async (): Promise<void> => {
    stopping.abort();
    child?.kill('SIGTERM');
    await Promise.race([forwarding, delay(STOP_MS, undefined, { ref: false })]);
  };
  try {
    const deadlineMs = performance.now() + FORWARD_START_MS;
    while (ports === undefined) {
      if (performance.now() > deadlineMs)
        throw new Failure(`waited ${FORWARD_START_MS / 1000} s for kubectl port-forward: ${lastWords}`);
      await delay(FORWARD_POLL_MS, undefined, { signal });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const url = (port: number): string => `http://127.0.0.1:${ports?.get(port)}`;
  return {
    origin: url(RELAY_PORTS.origin),
    store: url(RELAY_PORTS.store),
    edge: url(RELAY_PORTS.edge),
    [Symbol.asyncDispose]: stop,
  };
}
