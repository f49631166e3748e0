/** Reads as clients do, well behaved and not, and compares every byte with what the answer's ETag stands for. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { etagOf, isAt, sizeOf } from '#hack/demo-support/synthetic-bytes.ts';
import { BUCKET } from './surroundings.ts';

export interface Counts {
  reads: number;
  bytes: number;
  /** Answers and bodies that did not come whole, by status or error: with faults going on there are some. */
  readonly failed: Map<string, number>;
  /** What must not be, each with what it was. */
  readonly wrong: string[];
}

export interface ReadOptions {
  readonly from?: number;
  /** Excluded. */
  readonly to?: number;
  /** Takes no more than so much. */
  readonly bytesPerSecond?: number;
  /** Leaves after so long. */
  readonly cancelAfterMs?: number;
}

export interface Client {
  read(edge: string, key: string, options?: ReadOptions): Promise<void>;
  /** Closes all connections, also those in use. */
  close(): void;
}

/** What a cache may say while something around it is wrong. */
const EXCUSED = new Set([502, 503, 504]);
/** Longer than every deadline of the cache. */
const TIMEOUT_MS = 90_000;
/** After so many it is known that something is wrong. */
const MAX_WRONG = 50;

/** `generationOf`: how often the object has changed so far. */
export function openClient(counts: Counts, generationOf: (key: string) => number): Client {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });

  async function read(edge: string, key: string, options: ReadOptions = {}): Promise<void> {
    const sizeBytes = sizeOf(key) ?? 0;
    const { from = 0, to = sizeBytes, bytesPerSecond, cancelAfterMs } = options;
    const isRange = options.from !== undefined;
    const bounds = [AbortSignal.timeout(TIMEOUT_MS)];
    if (cancelAfterMs !== undefined) bounds.push(AbortSignal.timeout(cancelAfterMs));
    const wrong = (what: string): void => {
      if (counts.wrong.length < MAX_WRONG) counts.wrong.push(`${key} [${from}, ${to}): ${what}`);
    };
    const { hostname, port } = new URL(edge);
    let at = from;
    try {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = request({
          agent,
          host: hostname,
          port,
          path: `/${BUCKET}/${key}`,
          headers: isRange ? { range: `bytes=${from}-${to - 1}` } : {},
          signal: AbortSignal.any(bounds),
        });
        outgoing.once('response', resolve);
        outgoing.once('error', reject);
        outgoing.end();
      });
      const status = answer.statusCode ?? 0;
      if (status !== (isRange ? 206 : 200)) {
        const what = `${status} ${/<Code>(\w+)</.exec(await text(answer))?.[1] ?? ''}`;
        // Once: a hundred of them would hide what else is wrong.
        if (!EXCUSED.has(status) && !counts.failed.has(what)) wrong(`status ${what}`);
        count(counts.failed, what);
        return;
      }
      const etag = (answer.headers.etag ?? '').replaceAll('"', '');
      const versions = Array.from({ length: generationOf(key) + 1 }, (_, i) => etagOf(BUCKET, key, i));
      if (!versions.includes(etag)) return wrong(`ETag ${etag}`);
      if (answer.headers['content-length'] !== String(to - from))
        wrong(`${answer.headers['content-length']} bytes announced`);
      const startedMs = performance.now();
      for await (const piece of answer as AsyncIterable<Buffer>) {
        if (at + piece.length > to || !isAt(etag, at, piece)) return wrong(`other bytes from ${at} on`);
        at += piece.length;
        counts.bytes += piece.length;
        if (bytesPerSecond === undefined) continue;
        const aheadMs = ((at - from) / bytesPerSecond) * 1000 - (performance.now() - startedMs);
        if (aheadMs > 1) await delay(aheadMs);
      }
      if (at < to) wrong(`ended cleanly at ${at}`);
      else counts.reads += 1;
    } catch (error) {
      if (bounds[1]?.aborted === true) count(counts.failed, 'cancelled');
      else if (bounds[0]?.aborted === true) wrong(`no end within ${TIMEOUT_MS} ms, ${at - from} bytes`);
      else count(counts.failed, `${at === from ? '' : 'body '}${(error as { code?: string }).code ?? String(error)}`);
    }
  }
  return { read, close: () => agent.destroy() };
}

export function count(map: Map<string, number>, what: string): void {
  map.set(what, (map.get(what) ?? 0) + 1);
}
