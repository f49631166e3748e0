/** W3C trace context through all replicas to the origin and the cachestore, and the export of spans. */
import { expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { startOtlpReceiver } from '#test/support/otlp-receiver.ts';
import { BUCKET, MIB, startReplicas, type ReplicasOptions } from '#test/support/replicas.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const sampled = `00-${TRACE_ID}-${PARENT_ID}-01`;
/** Enough that a replica is not the coordinator of all of them. */
const CHUNKS = 16;
/** The exporter sends a batch every 5 s. */
const EXPORT_MS = 30_000;

async function start(options: ReplicasOptions) {
  const replicas = await startReplicas(options);
  onTestFinished(() => replicas[Symbol.asyncDispose]());
  await replicas.put('a.bin', patternBytes(CHUNKS * MIB));
  return replicas;
}

test('without an exporter, a client’s trace reaches origin and cachestore through all replicas as it is', async () => {
  const cache = await start({ replicas: 3 });
  await http(cache.all[0]!.edge, `/${BUCKET}/a.bin`, { headers: { traceparent: sampled } });
  await cache.idle();
  const reads = cache.originProxy.passed.filter(({ target }) => target.includes('a.bin'));
  expect(reads.length).toBeGreaterThanOrEqual(1 + CHUNKS);
  expect(new Set(reads.map(({ traceparent }) => traceparent))).toEqual(new Set([sampled]));
  const commits = cache.storeProxy.passed.filter(({ method, target }) => method === 'PUT' && !target.includes('_orca'));
  expect(commits).toHaveLength(CHUNKS);
  expect(new Set(commits.map(({ traceparent }) => traceparent))).toEqual(new Set([sampled]));
});

test('an invalid trace, or none, is not passed on', async () => {
  const cache = await start({});
  await http(cache.all[0]!.edge, `/${BUCKET}/a.bin`, { headers: { traceparent: `${sampled}x` } });
  await cache.idle();
  for (const { traceparent } of cache.originProxy.passed) expect(traceparent).toBeUndefined();
});

test('spans of edge, chunks, origin, cachestore and peers form one trace below the client’s span', async () => {
  const receiver = await startOtlpReceiver();
  onTestFinished(() => receiver[Symbol.asyncDispose]());
  const cache = await start({
    replicas: 3,
    changes: { telemetry: { otlpEndpoint: receiver.endpoint, sample: 1_000_000 } },
  });
  await http(cache.all[0]!.edge, `/${BUCKET}/a.bin`, { headers: { traceparent: sampled } });
  // Not sampled by its client.
  await http(cache.all[0]!.edge, `/${BUCKET}/a.bin`, {
    headers: { traceparent: `00-${'ab'.repeat(16)}-${PARENT_ID}-00` },
  });
  await cache.idle();
  await expect
    .poll(() => new Set(receiver.spans.map(({ name }) => name)), { timeout: EXPORT_MS, interval: 200 })
    .toEqual(expect.toSatisfy((names: Set<string>) => WANTED.every((name) => names.has(name))));
  const edge = receiver.spans.find(({ name }) => name === 'edge');
  expect(edge?.parentSpanId).toBe(PARENT_ID);
  const origin = cache.originProxy.passed.filter(({ traceparent }) => traceparent?.includes(TRACE_ID));
  const unknownParents = (): string[] => {
    const ids = new Set([PARENT_ID, ...receiver.spans.map(({ spanId }) => spanId)]);
    const ofSpans = receiver.spans.map(({ parentSpanId = '' }) => parentSpanId);
    const ofRequests = origin.map(({ traceparent = '' }) => traceparent.split('-')[2] ?? '');
    return [...ofSpans, ...ofRequests].filter((id) => !ids.has(id));
  };
  // Each replica sends its spans at another time.
  await expect.poll(unknownParents, { timeout: EXPORT_MS, interval: 200 }).toEqual([]);
  expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
});

const WANTED = ['edge', 'chunk', 'origin read', 'store commit', 'peer fill', 'peer'];
