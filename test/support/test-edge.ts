/** The clients' listener over an engine, without the process around it. */
import type { Engine } from '#cache/engine/engine.ts';
import type { EdgeAuth } from '#cache/http/edge/authenticate.ts';
import { openEdge } from '#cache/http/edge/edge.ts';
import { unknownUnacked } from '#cache/http/listener/send-queues.ts';
import { systemClock } from '#shared/clock.ts';
import { silentLog } from '#shared/log.ts';

export interface TestEdge extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
}

export interface TestEdgeOptions {
  readonly auth?: EdgeAuth;
  /** Client-facing names; default: the one bucket of `openEngines`. */
  readonly buckets?: readonly string[];
}

export async function openTestEdge(engine: Engine, options: TestEdgeOptions = {}): Promise<TestEdge> {
  const listener = openEdge({
    engine,
    auth: options.auth ?? { type: 'Anonymous' },
    tls: undefined,
    region: 'us-east-1',
    buckets: new Set(options.buckets ?? ['models']),
    virtualHostDomains: ['cache.test'],
    corsOrigins: [],
    maxConnections: 100,
    explain: true,
    clock: systemClock,
    unackedBytes: unknownUnacked,
    observer: { request: () => {}, firstByte: () => {}, served: () => {}, stalled: () => {}, shed: () => {} },
    log: silentLog,
  });
  const port = await listener.listen('127.0.0.1', 0);
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await listener.drain(AbortSignal.abort());
    },
  };
}
