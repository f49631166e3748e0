/**
 * Clients: what `http/edge/object.ts` does with a request, and a reader that compares every byte with the version that
 * the response names. `allowed.ts` decides which errors are allowed instead of a body.
 */
import { getEventListeners } from 'node:events';
import { chunkAt, chunkSizeFor, sliceAt, sliceCount } from '#cache/core/chunk.ts';
import { blockSizeFor } from '#cache/core/chunk-metadata.ts';
import { codeOf, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { resolveRange } from '#cache/core/range.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { sendSoon } from '#cache/http/listener/send-body.ts';
import { AFTERMATH_MS, isAllowed, ORIGIN_TROUBLE, staleBoundMs, type Failure } from './allowed.ts';
import { firstDifference, type Version } from './content.ts';
import { Connection } from './connection.ts';
import { describe } from './peers.ts';
import type { CapacityOracle } from './capacity-oracle.ts';
import type { Ledger } from './ledger.ts';
import type { SimOrigin } from './origin.ts';
import type { Random } from './random.ts';
import { BUCKET, ORIGIN_BUCKET, sendingOf, type Incarnation } from './replica.ts';
import { wasActive, type ClientPlan, type RangePlan, type Scenario } from './scenario.ts';
import type { SimStore } from './store.ts';
import { NO_OWNER, type World } from './world.ts';

/** Between a client and its replica. */
const LATENCY_MS = 0.3;
/** Clocks have whole milliseconds. */
const CLOCK_MS = 1;
/**
 * The maximum time of a request on our side of the socket. A new request waits for memory (5 s), then tries two peers
 * (20 s each) and the origin, and all of that again if the object has changed. Each later chunk may wait as long as a
 * started response does (60 s).
 */
const MAX_ANSWER_MS = 120_000;
const MAX_SILENCE_MS = 150_000;

/** How long the background write of a manifest may take. */
const WRITTEN_MS = 5_000;

export interface ClientsOptions {
  readonly world: World;
  readonly scenario: Scenario;
  readonly origin: SimOrigin;
  readonly store: SimStore;
  readonly ledger: Ledger;
  readonly capacity: CapacityOracle;
  readonly random: Random;
  /** False while a replica's breaker is open: it closes by requests, one at a time. */
  readonly isOriginAsked: () => boolean;
}

/** One request and its result. */
export interface Exchange {
  readonly plan: ClientPlan;
  readonly process: Incarnation;
  readonly startedMs: number;
  readonly etags: { readonly ifMatch: string | undefined; readonly other: string | undefined };
  /** Sent after the faults have ended: it must succeed. */
  readonly isFinal: boolean;
  version: Version | undefined;
  range: ByteRange;
  gotBytes: number;
  /** On our side: the time of the last progress, or when the client began to wait for more. */
  lastMs: number;
  outcome: 'running' | 'complete' | 'failed' | 'cancelled' | 'reset';
  failure: Failure | undefined;
  retryAfterMs: number | undefined;
}

export interface Progress {
  readonly home: PeerAddress;
  /** Undefined before the status line. */
  readonly version: Version | undefined;
  /** Offsets in the object: the start of the body, and the end of what the engine has delivered. */
  readonly from: number;
  readonly at: number;
}

export class Clients {
  readonly #options: ClientsOptions;
  readonly #known = new Map<string, { readonly exchange: Exchange; readonly connection: Connection }>();
  readonly running = new Set<Exchange>();
  readonly outcomes: Record<string, number> = {};
  longestMs = 0;
  servedBytes = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Which process serves a client's request, and the progress of the response. */
  progressOf(requestId: string): Progress | undefined {
    const known = this.#known.get(requestId);
    if (known === undefined) return undefined;
    const { exchange, connection } = known;
    const { version, range, process } = exchange;
    return { home: process.address, version, from: range.from, at: range.from + connection.writtenBytes };
  }

  start(plan: ClientPlan, process: Incarnation, isFinal = false): Promise<Exchange> {
    const { world, origin, random } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Exchange>();
    const etag = origin.current(plan.key)?.etag ?? 'none';
    const wrong = plan.condition === 'if-match-wrong' || plan.condition === 'if-range-wrong';
    const exchange: Exchange = {
      plan,
      process,
      isFinal,
      startedMs: world.nowMs,
      etags: {
        ifMatch: plan.condition.startsWith('if-match') ? (wrong ? 'wrong' : etag) : undefined,
        other: wrong ? 'wrong' : etag,
      },
      version: undefined,
      range: { from: 0, to: 0 },
      gotBytes: 0,
      lastMs: world.nowMs,
      outcome: 'running',
      failure: undefined,
      retryAfterMs: undefined,
    };
    this.running.add(exchange);
    let mayPause = plan.pauseMs > 0;
    const end = (outcome: Exchange['outcome'], failure?: Failure): void => {
      if (exchange.outcome !== 'running') return;
      exchange.outcome = outcome;
      exchange.failure = failure;
      this.#ended(exchange);
      connection.hangUp();
      process.connections.delete(connection);
      resolve(exchange);
    };
    const cancel = (): void => end('cancelled');
    const connection = new Connection(world, {
      server: process.owner,
      random,
      latencyMs: LATENCY_MS,
      bytesPerMs: plan.bytesPerMs,
      receiver: {
        owner: NO_OWNER,
        data: (bytes) => {
          if (exchange.outcome !== 'running') return 0;
          if (mayPause && exchange.gotBytes * 2 >= exchange.range.to - exchange.range.from) {
            mayPause = false;
            world.at(plan.pauseMs, NO_OWNER, 'pause', () => {
              exchange.lastMs = world.nowMs;
              connection.resume();
            });
            exchange.lastMs = Infinity;
            return 0;
          }
          exchange.lastMs = world.nowMs;
          this.#compare(exchange, bytes);
          exchange.gotBytes += bytes.length;
          const { cancel: when } = plan;
          if (when !== undefined && 'afterBytes' in when && exchange.gotBytes >= when.afterBytes) cancel();
          return bytes.length;
        },
        end: () => {
          const wanted = exchange.range.to - exchange.range.from;
          if (exchange.gotBytes !== wanted)
            world.violate(
              'every body is whole',
              `${plan.id} got ${exchange.gotBytes} of ${wanted} bytes and a clean end`,
            );
          end('complete');
        },
        // The process that closed it reports that (`failed`), unless it died.
        cut: () => end('reset'),
      },
    });
    this.#known.set(plan.id, { exchange, connection });
    process.connections.add(connection);
    world.note(
      'client',
      `${plan.id} at ${process.owner.name}: ${plan.key} ${rangeHeader(plan.range) ?? ''} ${plan.condition}`,
    );
    if (plan.cancel !== undefined && 'afterMs' in plan.cancel)
      world.at(plan.cancel.afterMs, NO_OWNER, 'cancel', cancel);
    world.at(LATENCY_MS, process.owner, 'request', () => void this.#serve(exchange, connection, end));
    return promise;
  }

  /** Called between events: no client waits without a reason. */
  checkBounds(): void {
    const { world } = this.#options;
    for (const exchange of this.running) {
      // A suspended process is not at fault.
      if (exchange.process.owner.state !== 'running') exchange.lastMs = Math.max(exchange.lastMs, world.nowMs);
      const limitMs = exchange.version === undefined ? MAX_ANSWER_MS : MAX_SILENCE_MS;
      if (world.nowMs - exchange.lastMs <= limitMs) continue;
      world.violate('no wait is without a bound', `${exchange.plan.id} gets no response for ${limitMs} ms`);
      return;
    }
  }

  async #serve(
    exchange: Exchange,
    connection: Connection,
    end: (outcome: Exchange['outcome'], failure?: Failure) => void,
  ): Promise<void> {
    const { world } = this.#options;
    const { plan, process } = exchange;
    if (connection.isClosed) return;
    const aborter = new AbortController();
    const forget = connection.onClose(() =>
      aborter.abort(new OrcaError('cancelled', 'the client closed the connection')),
    );
    process.serving++;
    let started = false;
    const pace = new ReaderPace();
    this.#wanted(plan);
    try {
      const result = await process.engine.read({
        bucket: BUCKET,
        key: plan.key,
        range: rangeHeader(plan.range),
        conditions: {
          ifMatch: quoted(exchange.etags.ifMatch),
          ifNoneMatch: plan.condition === 'if-none-match' ? quoted(exchange.etags.other) : undefined,
          ifRange: plan.condition.startsWith('if-range') ? quoted(exchange.etags.other) : undefined,
        },
        headOnly: plan.headOnly,
        requestId: plan.id,
        signal: aborter.signal,
        pace,
      });
      this.#answered(exchange, result);
      started = true;
      if (result.source === undefined) world.at(LATENCY_MS, NO_OWNER, 'head', () => end('complete'));
      else
        await sendSoon(
          connection.response,
          connection.socket,
          result.body,
          result.range.to - result.range.from,
          sendingOf(process, pace),
        );
    } catch (error) {
      world.note('answer', `${plan.id}: ${codeOf(error)} ${error instanceof Error ? error.message : ''}`);
      if (!aborter.signal.aborted) {
        this.#judge(exchange, error, started);
        const failure = { code: codeOf(error), started };
        if (started) connection.destroy();
        world.at(LATENCY_MS, NO_OWNER, 'error', () => end('failed', failure));
      }
    } finally {
      process.serving--;
      forget();
      this.#checkListeners(exchange, aborter.signal, connection);
    }
  }

  /** What the request may cost at the origin, at most. */
  #wanted({ key, range, condition }: ClientPlan): void {
    const { scenario, origin, ledger } = this.#options;
    const version = origin.current(key);
    if (version === undefined) return;
    const { sizeBytes, etag } = version;
    // A condition may turn a range into the whole object.
    const wanted = resolveRange(condition === 'if-range-wrong' ? undefined : rangeHeader(range), sizeBytes);
    const whole = { from: 0, to: sizeBytes };
    const asked = wanted.kind === 'part' ? wanted.range : whole;
    const size = chunkSizeFor(sizeBytes, scenario.chunkBytes, scenario.tiers);
    const object = { originId: 'far', bucket: ORIGIN_BUCKET, key, etag, sizeBytes };
    const count = sliceCount(asked, size);
    for (let number = 0; number < count; number++) {
      const slice = sliceAt(asked, size, number);
      ledger.wanted(chunkAt(object, size, slice.index), slice, count === 1);
    }
  }

  /** All chunks of a complete body. */
  #wasRead({ plan, version, range, gotBytes, startedMs }: Exchange): void {
    const { scenario, capacity } = this.#options;
    if (version === undefined || gotBytes === 0) return;
    const size = chunkSizeFor(version.sizeBytes, scenario.chunkBytes, scenario.tiers);
    const object = {
      originId: 'far',
      bucket: ORIGIN_BUCKET,
      key: plan.key,
      etag: version.etag,
      sizeBytes: version.sizeBytes,
    };
    const count = sliceCount(range, size);
    for (let number = 0; number < count; number++)
      capacity.wasRead(chunkAt(object, size, sliceAt(range, size, number).index).path, startedMs);
  }

  #checkListeners(exchange: Exchange, signal: AbortSignal, connection: Connection): void {
    const { world } = this.#options;
    const listeners = getEventListeners(signal, 'abort').length;
    if (listeners > 0)
      world.violate('no listener is left', `${listeners} listeners stay on the signal of ${exchange.plan.id}`);
    // `sendSoon` may keep one listener to release the bytes that are still being sent.
    if (connection.listeners > 1)
      world.violate('no listener is left', `${connection.listeners} stay on the connection of ${exchange.plan.id}`);
  }

  /** The status line. */
  #answered(exchange: Exchange, result: ReadResult): void {
    const { world, origin } = this.#options;
    const { plan } = exchange;
    const { head, status, range } = result;
    const version = origin.version(head.etag);
    exchange.version = version;
    exchange.range = range;
    exchange.lastMs = world.nowMs;
    world.note('answer', `${plan.id}: ${status} ${head.etag} [${range.from}, ${range.to}) from ${result.source}`);
    if (version.key !== plan.key || head.sizeBytes !== version.sizeBytes)
      world.violate('every body is right', `${plan.id} gets ${plan.key} as ${head.etag} of ${head.sizeBytes} bytes`);
    const wanted = expectedAnswer(exchange, version);
    if (status !== wanted.status || (status !== 304 && (range.from !== wanted.from || range.to !== wanted.to)))
      world.violate(
        'every body is right',
        `${plan.id} gets ${status} [${range.from}, ${range.to}) instead of ${JSON.stringify(wanted)}`,
      );
    this.#checkAge(exchange, version, result);
  }

  #checkAge(exchange: Exchange, version: Version, { ageMs, stale }: ReadResult): void {
    const { world, scenario } = this.#options;
    const { plan, startedMs } = exchange;
    // An age that a clock step distorts is not a defect.
    if (scenario.faults.has('clock-step')) return;
    const who = `${plan.id} gets ${version.etag}, which ended at ${version.diedMs} ms,`;
    if (stale) {
      const excused = this.#isShut() || wasActive(scenario, ORIGIN_TROUBLE, startedMs - AFTERMATH_MS, world.nowMs);
      if (!excused) world.violate('nothing is older than its TTL', `${who} as stale while the origin is well`);
    } else if (version.diedMs < startedMs - staleBoundMs(scenario) - (scenario.ttlMs === 0 ? 0 : CLOCK_MS)) {
      world.violate('nothing is older than its TTL', `${who} after its TTL`);
    }
    if (version.diedMs < startedMs - ageMs - CLOCK_MS)
      world.violate('nothing is older than its TTL', `${who} and gets an answer that is ${ageMs} ms old`);
  }

  #compare(exchange: Exchange, bytes: Uint8Array): void {
    const { world } = this.#options;
    const { plan, version, range } = exchange;
    if (version === undefined) {
      world.violate('every body is right', `${plan.id} gets bytes before a status line`);
      return;
    }
    const start = range.from + exchange.gotBytes;
    this.servedBytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const wrong = firstDifference(version, start + at, bytes.subarray(at));
      if (wrong === undefined) return;
      if (!this.#mayBeFlipped(version, range, wrong)) {
        world.violate('every body is right', `${plan.id} gets a wrong byte at ${wrong} of ${version.etag}`);
        return;
      }
      at = wrong - start + 1;
    }
  }

  /** A flipped byte in the cachestore passes only in a block that the read cuts, and only where that is allowed. */
  #mayBeFlipped(version: Version, range: ByteRange, offset: number): boolean {
    const { store, scenario } = this.#options;
    const size = chunkSizeFor(version.sizeBytes, scenario.chunkBytes, scenario.tiers);
    const { etag, sizeBytes, key } = version;
    const object = { originId: 'far', bucket: ORIGIN_BUCKET, key, etag, sizeBytes };
    const chunk = chunkAt(object, size, Math.floor(offset / size));
    const inChunk = offset - chunk.range.from;
    if (scenario.verifyRanges || !store.wasFlipped(chunk.path, inChunk)) return false;
    const block = blockSizeFor(size);
    const start = chunk.range.from + Math.floor(inChunk / block) * block;
    const end = Math.min(start + block, chunk.range.to);
    return start < range.from || end > range.to;
  }

  /** A breaker that an origin outage has opened stays open until the next request. */
  #isShut(): boolean {
    const { scenario, world, isOriginAsked } = this.#options;
    return !isOriginAsked() && wasActive(scenario, ORIGIN_TROUBLE, 0, world.nowMs);
  }

  /** Only the origin fails, and the whole object has been in the cachestore for a while, and therefore its manifest too. */
  #isCached({ plan, startedMs }: Exchange): boolean {
    const { scenario, origin, store } = this.#options;
    if (![...scenario.faults].every((fault) => fault === 'cancel' || ORIGIN_TROUBLE.includes(fault))) return false;
    const version = origin.current(plan.key);
    if (version === undefined || version.sizeBytes === 0) return false;
    const size = chunkSizeFor(version.sizeBytes, scenario.chunkBytes, scenario.tiers);
    const { etag, sizeBytes, key } = version;
    const object = { originId: 'far', bucket: ORIGIN_BUCKET, key, etag, sizeBytes };
    for (let index = 0; index * size < sizeBytes; index++) {
      const sinceMs = store.intactSinceMs(chunkAt(object, size, index).path);
      if (sinceMs === undefined || sinceMs > startedMs - WRITTEN_MS) return false;
    }
    return true;
  }

  #judge(exchange: Exchange, error: unknown, started: boolean): void {
    const { world, scenario, origin } = this.#options;
    const code = codeOf(error);
    exchange.retryAfterMs = error instanceof OrcaError ? error.retryAfterMs : undefined;
    if (code === 'internal') world.violate('errors are named', `${exchange.plan.id} ends with ${describe(error)}`);
    else if (this.#isCached(exchange) && (code === 'origin_unavailable' || code === 'origin_throttled'))
      world.violate('what is cached is served', `${exchange.plan.id} ends with ${describe(error)}, and all is stored`);
    else if (code === 'origin_unavailable' && this.#isShut()) return;
    else if (!isAllowed(scenario, origin, exchange, { code, started }, world.nowMs))
      world.violate(
        'no error without a reason',
        `${exchange.plan.id} ends with ${code} (${started ? 'after' : 'before'} its status line): ${describe(error)}`,
      );
  }

  #ended(exchange: Exchange): void {
    const { world } = this.#options;
    this.running.delete(exchange);
    this.longestMs = Math.max(this.longestMs, world.nowMs - exchange.startedMs);
    const { failure } = exchange;
    const what = failure === undefined ? exchange.outcome : `${failure.code}${failure.started ? ' (started)' : ''}`;
    this.outcomes[what] = (this.outcomes[what] ?? 0) + 1;
    if (exchange.outcome === 'complete' && this.#options.scenario.capacity !== undefined) this.#wasRead(exchange);
    world.note('client', `${exchange.plan.id} is ${what} with ${exchange.gotBytes} bytes`);
  }
}

/** The expected answer to a range, computed independently of the engine. */
function expectedAnswer(
  { plan, etags }: Exchange,
  { etag, sizeBytes }: Version,
): { status: number; from: number; to: number } {
  const whole = { status: 200, from: 0, to: sizeBytes };
  if (plan.condition === 'if-none-match' && etags.other === etag) return { ...whole, status: 304 };
  const { range } = plan;
  if (range === undefined || (plan.condition.startsWith('if-range') && etags.other !== etag)) return whole;
  if (range.from === undefined) {
    const length = Math.min(range.to ?? 0, sizeBytes);
    return sizeBytes === 0 ? whole : { status: 206, from: sizeBytes - length, to: sizeBytes };
  }
  return { status: 206, from: range.from, to: Math.min(range.to ?? sizeBytes, sizeBytes) };
}

function rangeHeader(range: RangePlan | undefined): string | undefined {
  if (range === undefined) return undefined;
  if (range.from === undefined) return `bytes=-${range.to}`;
  return `bytes=${range.from}-${range.to === undefined ? '' : range.to - 1}`;
}

function quoted(etag: string | undefined): string | undefined {
  return etag === undefined ? undefined : `"${etag}"`;
}
