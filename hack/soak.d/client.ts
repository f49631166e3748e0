/** Reads like clients of all kinds, and compares every byte with the version that the ETag of the response names. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { etagOf, isAt, sizeOf } from '#hack/demo-support/synthetic-bytes.ts';
import { BUCKET } from './environment.ts';

export interface Counts {
  reads: number;
  bytes: number;
  /** Failed requests and truncated bodies, by status or error. Some are expected during faults. */
  readonly failed: Map<string, number>;
  /** Descriptions of what must never happen. */
  readonly wrong: string[];
}

export interface ReadOptions {
  readonly from?: number;
  /** Exclusive. */
  readonly to?: number;
  /** Reads no faster than this. */
  readonly bytesPerSecond?: number;
  /** Disconnects after this time. */
  readonly cancelAfterMs?: number;
}

export interface Client {
  read(edge: string, key: string, options?: ReadOptions): Promise<void>;
  /** Closes all connections, including those in use. */
  close(): void;
}

/** Statuses that a cache may return during faults. */
const EXPECTED_STATUSES = new Set([502, 503, 504]);
/** Longer than every deadline of the cache. */
const TIMEOUT_MS = 90_000;
/** Limits the list of wrong results; more of them add no information. */
const MAX_WRONG = 50;

/** `generationOf` returns how often the object has changed. */
export function openClient(counts: Counts, generationOf: (key: string) => number): Client {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  return {
    async read(edge, key, options = {}) {
      const { from = 0, to = sizeOf(key) ?? 0, cancelAfterMs } = options;
      const timeout = AbortSignal.timeout(TIMEOUT_MS);
      const cancel = cancelAfterMs === undefined ? undefined : AbortSignal.timeout(cancelAfterMs);
      const signal = cancel === undefined ? timeout : AbortSignal.any([timeout, cancel]);
      const before = counts.bytes;
      const check = new ResponseCheck(counts, key, from, to, generationOf);
      try {
        const headers = options.from === undefined ? {} : { range: `bytes=${from}-${to - 1}` };
        const response = await send(agent, `${edge}/${BUCKET}/${key}`, headers, signal);
        if (await check.head(response, options.from !== undefined)) await check.body(response, options.bytesPerSecond);
      } catch (error) {
        if (cancel?.aborted === true) count(counts.failed, 'cancelled');
        else if (timeout.aborted) check.wrong(`incomplete after ${TIMEOUT_MS} ms`);
        else {
          const where = counts.bytes === before ? '' : 'body ';
          count(counts.failed, `${where}${(error as { code?: string }).code ?? String(error)}`);
        }
      }
    },
    close: () => agent.destroy(),
  };
}

async function send(
  agent: Agent,
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, headers, signal });
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end();
  });
}

/** Compares one response with the object, [from, to) of it. */
class ResponseCheck {
  readonly #counts: Counts;
  readonly #key: string;
  readonly #from: number;
  readonly #to: number;
  readonly #generationOf: (key: string) => number;
  #etag = '';

  constructor(counts: Counts, key: string, from: number, to: number, generationOf: (key: string) => number) {
    this.#counts = counts;
    this.#key = key;
    this.#from = from;
    this.#to = to;
    this.#generationOf = generationOf;
  }

  wrong(what: string): void {
    if (this.#counts.wrong.length < MAX_WRONG)
      this.#counts.wrong.push(`${this.#key} [${this.#from}, ${this.#to}): ${what}`);
  }

  /** Resolves to false if the response has no body to compare. */
  async head(response: IncomingMessage, isRange: boolean): Promise<boolean> {
    const status = response.statusCode ?? 0;
    if (status !== (isRange ? 206 : 200)) {
      const what = `${status} ${/<Code>(\w+)</.exec(await text(response))?.[1] ?? ''}`;
      // Only the first one: a hundred of them would hide other wrong results.
      if (!EXPECTED_STATUSES.has(status) && !this.#counts.failed.has(what)) this.wrong(`status ${what}`);
      count(this.#counts.failed, what);
      return false;
    }
    this.#etag = (response.headers.etag ?? '').replaceAll('"', '');
    const versions = Array.from({ length: this.#generationOf(this.#key) + 1 }, (_, i) => etagOf(BUCKET, this.#key, i));
    if (!versions.includes(this.#etag)) {
      this.wrong(`ETag ${this.#etag}`);
      return false;
    }
    const announced = response.headers['content-length'];
    if (announced !== String(this.#to - this.#from)) this.wrong(`Content-Length ${announced}`);
    return true;
  }

  async body(response: IncomingMessage, bytesPerSecond: number | undefined): Promise<void> {
    const startedMs = performance.now();
    let at = this.#from;
    for await (const piece of response as AsyncIterable<Buffer>) {
      if (at + piece.length > this.#to || !isAt(this.#etag, at, piece)) return this.wrong(`wrong bytes from ${at} on`);
      at += piece.length;
      this.#counts.bytes += piece.length;
      if (bytesPerSecond === undefined) continue;
      const aheadMs = ((at - this.#from) / bytesPerSecond) * 1000 - (performance.now() - startedMs);
      if (aheadMs > 1) await delay(aheadMs);
    }
    if (at < this.#to) this.wrong(`truncated at ${at} without an error`);
    else this.#counts.reads += 1;
  }
}

export function count(map: Map<string, number>, what: string): void {
  map.set(what, (map.get(what) ?? 0) + 1);
}
