/** Which lines requests leave, at each level. */
import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openAccessLog } from '#cache/http/edge/access-log.ts';
import { openLog, type LogLevel } from '#shared/log.ts';
import { openEngines, patternBytes, MIB } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { presign } from '#test/support/presign.ts';
import { openTestEdge } from '#test/support/test-edge.ts';

type Line = Record<string, unknown>;

async function open(level: LogLevel, access?: 'json' | 's3') {
  const engines = openEngines({ replicas: 2 });
  const lines: string[] = [];
  const log = openLog({ name: 'cache', level, write: (line) => lines.push(line) });
  const accessLog = access && openAccessLog({ format: access, sample: 1 }, (line) => log.line(line));
  const edge = await openTestEdge(engines.replicas[0]!.engine, { log, ...(accessLog && { accessLog }) });
  engines.origin.put('far-models', 'dir/a', patternBytes(2.5 * MIB));
  return {
    ...engines,
    edge,
    lines,
    parsed: () => lines.map((line) => JSON.parse(line) as Line),
    get: (target: string, options: Parameters<typeof http>[2] = {}) => http(edge.url, target, options),
    [Symbol.asyncDispose]: () => edge[Symbol.asyncDispose](),
  };
}

describe('at level debug', () => {
  test('a read is one line with all that it did', async () => {
    await using world = await open('debug');
    const { headers } = await world.get('/models/dir/a', { headers: { range: `bytes=${MIB - 10}-${2 * MIB + 9}` } });
    await expect.poll(() => world.lines.length).toBe(1);
    const [line] = world.parsed();
    expect(line).toMatchObject({
      level: 'debug',
      message: 'request',
      requestId: headers['x-amz-request-id'],
      method: 'GET',
      bucket: 'models',
      key: 'dir/a',
      rangeHeader: `bytes=${MIB - 10}-${2 * MIB + 9}`,
      range: [MIB - 10, 2 * MIB + 10],
      status: 206,
      cache: 'MISS',
      bytes: MIB + 20,
      chunk: { originId: 'test', bucket: 'far-models', key: 'dir/a', index: 0 },
      chunks: { first: 0, count: 3, sizeBytes: MIB },
      ms: expect.any(Number) as number,
      firstByteMs: expect.any(Number) as number,
    });
    const sources = Object.values(line!['sources'] as Record<string, number>);
    expect(sources.reduce((sum, bytes) => sum + bytes)).toBe(MIB + 20);
    const addresses = world.replicas.map(({ address }) => address);
    expect(line!['coordinator']).toHaveLength(3);
    for (const each of line!['coordinator'] as string[]) expect(addresses).toContain(each);
  });

  test('requests without bytes are lines too', async () => {
    await using world = await open('debug');
    for (const target of ['/models?list-type=2', '/models/missing']) await world.get(target);
    await world.get('/models/dir/a', { method: 'HEAD' });
    expect(world.parsed().map(({ message, status }) => [message, status])).toEqual([
      ['request', 200],
      ['request failed', 404],
      ['request', 200],
    ]);
  });

  test('no line has a signature', async () => {
    await using world = await open('debug', 'json');
    const secret = 'hunter2hunter2';
    const target = presign({
      method: 'GET',
      path: '/models/dir/a',
      host: 'cache.test',
      accessKeyId: secret,
      secretAccessKey: 'x',
      atMs: Date.now(),
    });
    for (const path of [
      target,
      target.replace('dir/a', 'missing'),
      target.replace('X-Amz-Credential', 'X-Amz%2DCredential'),
    ])
      await world.get(path, { headers: { authorization: `Bearer ${secret}`, cookie: secret } });
    await expect.poll(() => world.lines.length).toBe(6);
    const signature = /X-Amz-Signature=([0-9a-f]{64})/.exec(target)![1]!;
    for (const line of world.lines) {
      expect(line).not.toContain(secret);
      expect(line).not.toContain(signature);
    }
  });
});

describe('at level info', () => {
  test('a successful request is no line, and nothing is collected', async () => {
    await using world = await open('info');
    await world.get('/models/dir/a');
    await world.get('/models/missing');
    expect(world.lines).toEqual([]);
  });

  test('an outage under load is a bounded number of lines, which count those that are missing', async () => {
    await using world = await open('info');
    world.origin.inject({ on: 'head', what: new OrcaError('origin_unavailable', 'injected'), times: 100_000 });
    const startedMs = performance.now();
    for (let round = 0; round < 30; round++)
      await Promise.all(Array.from({ length: 20 }, (_, index) => world.get(`/models/${round}/${index}`)));
    const seconds = Math.ceil((performance.now() - startedMs) / 1000) + 1;
    const failed = world.parsed().filter(({ message }) => message === 'request failed');
    expect(failed.length).toBeLessThanOrEqual(100 * seconds);
    const suppressed = failed.reduce((sum, line) => sum + Number(line['suppressed'] ?? 0), 0);
    expect(failed.length + suppressed).toBeLessThanOrEqual(600);
  });
});

describe('the access log', () => {
  test('has every request whatever the level, also refused ones', async () => {
    await using world = await open('error', 'json');
    await world.get('/models/dir/a');
    await world.get('/models/missing');
    await world.get('/models?list-type=2');
    await expect.poll(() => world.lines.length).toBe(3);
    const [read, missing, list] = world.parsed();
    expect(read).toMatchObject({ operation: 'REST.GET.OBJECT', status: 200, bytes: 2.5 * MIB, objectBytes: 2.5 * MIB });
    expect(missing).toMatchObject({ status: 404, errorCode: 'NoSuchKey' });
    expect(list).toMatchObject({ operation: 'REST.GET.BUCKET', status: 200, client: '127.0.0.1' });
    expect(Number(list!['bytes'])).toBeGreaterThan(100);
  });

  test('in the format of S3 has the same lines', async () => {
    await using world = await open('error', 's3');
    await world.get('/models/dir/a');
    await expect.poll(() => world.lines.length).toBe(1);
    expect(world.lines[0]).toMatch(
      /^- models \[.*\] 127\.0\.0\.1 - \w{16} REST\.GET\.OBJECT dir\/a "GET \/models\/dir\/a HTTP\/1\.1" 200 - 2621440 2621440 /,
    );
  });
});
