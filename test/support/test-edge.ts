/** The edge listener on top of an engine, without the rest of the process. */
import { BucketTable, type BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { EdgeAuth } from '#cache/http/edge/authenticate.ts';
import type { AccessLog } from '#cache/http/edge/access-log.ts';
import { openEdge } from '#cache/http/edge/edge.ts';
import { unknownUnacked } from '#cache/http/listener/send-queues.ts';
import { systemClock } from '#shared/clock.ts';
import { silentLog, type Log } from '#shared/log.ts';

export interface TestEdge extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
}

export interface TestEdgeOptions {
  readonly auth?: EdgeAuth;
  readonly log?: Log;
  readonly accessLog?: AccessLog;
  readonly ignoreCacheControl?: boolean;
  /** Default: the one bucket of `openEngines`. */
  readonly buckets?: readonly BucketRule[];
}

const MODELS = { name: 'models', originBucket: 'far-models', prefix: '', metadataTtlMs: 300_000, immutable: false };

export async function openTestEdge(engine: Engine, options: TestEdgeOptions = {}): Promise<TestEdge> {
  const listener = openEdge({
    engine,
    auth: options.auth ?? { type: 'Anonymous' },
    tls: undefined,
    region: 'us-east-1',
    buckets: new BucketTable(options.buckets ?? [MODELS]),
    virtualHostDomains: ['cache.test'],
    corsOrigins: [],
    maxConnections: 100,
    ignoreCacheControl: options.ignoreCacheControl ?? false,
    explain: true,
    clock: systemClock,
    unackedBytes: unknownUnacked,
    tracer: undefined,
    observer: { request: () => {}, firstByte: () => {}, served: () => {}, stalled: () => {}, shed: () => {} },
    log: options.log ?? silentLog,
    accessLog: options.accessLog,
  });
  const port = await listener.listen('127.0.0.1', 0);
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await listener.drain(AbortSignal.abort());
    },
  };
}
