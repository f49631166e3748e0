/**
 * Calls between replicas: what `peers/fill-client.ts` and `http/peer/peer.ts` do, over a network that delays and loses
 * messages and partitions replicas.
 */
import { asOrcaError, hasCode, OrcaError } from '#cache/core/errors.ts';
import {
  decodeUsageAnswer,
  decodeUsageReport,
  encodeUsageAnswer,
  encodeUsageReport,
} from '#cache/core/capacity/usage-codec.ts';
import { parseRefusal, refusalOf } from '#cache/core/peer/refusal.ts';
import { formatFillTerms, parseFillTerms } from '#cache/core/peer/fill-request.ts';
import { rangeLength } from '#cache/core/object.ts';
import { withDeadline } from '#shared/abortable.ts';
import type {
  ByteSink,
  CallOptions,
  FillAnswer,
  FillRequest,
  FillSource,
  PeerAddress,
  PeerClient,
} from '#cache/engine/ports.ts';
import type { FillReply } from '#cache/engine/serve-fill.ts';
import type { WarmReply } from '#cache/engine/warm/serve-warm.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { sendBody } from '#cache/http/listener/send-body.ts';
import { peerHealth, type Attempt, type PeerHealth } from '#cache/peers/peer-health.ts';
import { streamGate, type StreamGate } from '#cache/peers/stream-gate.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Progress } from './client.ts';
import { Connection, type ConnectionFault } from './connection.ts';
import type { Faults } from './faults.ts';
import type { Ledger } from './ledger.ts';
import { hostOf } from './membership.ts';
import type { Random } from './random.ts';
import { sendingOf, type Incarnation, type Replica } from './replica.ts';
import type { Fault, Scenario } from './scenario.ts';
import type { SimStore } from './store.ts';
import { NO_OWNER, type World } from './world.ts';

/** The constants of the drivers. */
const DEAD_AFTER_MS = 3_000;
const SKIP_DEAD_MS = 5_000;
const PROCESSING_INTERVAL_MS = 500;
const STREAMS = { maxActive: 64, maxWaiting: 256, waitMs: 5_000 };
/** Longer than any replica is frozen, or a probe of it takes. */
const MOST_SKIPPED_MS = 60_000;
/** For one chunk, a request calls two replicas in four rounds each, follows one redirect and calls a draining replica; twice. */
const MAX_CALLS_PER_CHUNK = 24;

/** With any of these faults, a replica may count as dead, or views may differ. */
export const PEER_TROUBLE: readonly Fault[] = [
  'peer-errors',
  'partition',
  'freeze',
  'crash',
  'leave',
  'join',
  'skew',
  'report-errors',
  'evictor-crash',
  'worker-crash',
  'roll',
];
/** How much later the copy of a report may arrive. */
const COPY_MS = 90_000;

type FillOptions = Parameters<PeerClient['fill']>[3];

interface Exchange {
  readonly requester: Incarnation;
  readonly from: PeerAddress;
  readonly to: PeerAddress;
  readonly connection: Connection;
  blocked: boolean;
}

interface SimPeer {
  readonly gate: StreamGate;
  readonly health: PeerHealth;
  /** When a call last went to it, or found it dead: a single one finds out whether it is back. */
  calledMs: number;
}

export interface PeersOptions {
  readonly world: World;
  readonly store: SimStore;
  readonly scenario: Scenario;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Draws only in runs with a bounded cachestore. */
  readonly capacityRandom: Random;
  readonly replicaAt: (address: PeerAddress) => Replica | undefined;
  /** Whether a pod has the IP address. */
  readonly isPod: (ip: string) => boolean;
  readonly progressOf: (requestId: string) => Progress | undefined;
}

export class SimPeers {
  readonly #options: PeersOptions;
  readonly #partitions = new Set<string>();
  readonly #exchanges = new Set<Exchange>();
  readonly #calls = new Map<string, number>();
  calls = 0;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Between two pods. */
  part(a: string, b: string): void {
    this.#partitions.add(pair(a, b));
    for (const exchange of this.#exchanges)
      if (pair(hostOf(exchange.from), hostOf(exchange.to)) === pair(a, b)) {
        exchange.blocked = true;
        exchange.connection.block();
      }
  }

  join(a: string, b: string): void {
    this.#partitions.delete(pair(a, b));
    for (const exchange of this.#exchanges)
      if (pair(hostOf(exchange.from), hostOf(exchange.to)) === pair(a, b)) {
        exchange.blocked = false;
        exchange.connection.resume();
      }
  }

  /** Its connections fail on the side of the requester. */
  died(process: Incarnation): void {
    for (const exchange of this.#exchanges)
      if (exchange.requester === process) {
        exchange.connection.hangUp();
        this.#exchanges.delete(exchange);
      }
  }

  #isParted(a: PeerAddress, b: PeerAddress): boolean {
    return this.#partitions.has(pair(hostOf(a), hostOf(b)));
  }

  /** `nowhere`: no response arrives. `closed`: the host is there and refuses the connection. */
  #processAt(address: PeerAddress): Incarnation | 'nowhere' | 'closed' {
    const { replicaAt, isPod } = this.#options;
    if (!isPod(hostOf(address))) return 'nowhere';
    const process = replicaAt(address)?.process;
    return process === undefined || process.owner.state === 'dead' ? 'closed' : process;
  }

  get isParted(): boolean {
    return this.#partitions.size > 0;
  }

  clientFor(who: Incarnation): PeerClient {
    const peers = new Map<PeerAddress, SimPeer>();
    const { ledger } = this.#options;
    const peerAt = (address: PeerAddress): SimPeer => {
      const peer = peers.get(address) ?? {
        gate: streamGate(STREAMS, who.clock),
        health: peerHealth(who.clock, SKIP_DEAD_MS),
        calledMs: 0,
      };
      peers.set(address, peer);
      return peer;
    };
    const attempted = async <T>(address: PeerAddress, run: (attempt: Attempt) => Promise<T>): Promise<T> => {
      const peer = peerAt(address);
      const attempt = peer.health.ask();
      if (attempt === undefined) this.#checkTimeOfLastCall(who, address, peer.calledMs);
      else peer.calledMs = this.#options.world.nowMs;
      try {
        if (attempt === undefined) throw unavailable(`${address} was dead a moment ago`);
        return await run({
          ...attempt,
          dead: () => {
            peer.calledMs = this.#options.world.nowMs;
            attempt.dead();
          },
        });
      } finally {
        attempt?.abandoned();
      }
    };
    return {
      fill: async (address, request, sink, options) => {
        this.#countCall(who, address, request, options);
        const leave = await peerAt(address).gate.enter(options.signal);
        try {
          return await attempted(address, (attempt) => this.#exchange(who, address, request, sink, options, attempt));
        } catch (error) {
          if (hasCode(error, 'peer_unavailable'))
            ledger.excuse(
              request.chunk.path,
              'replicas',
              `${who.owner.name} could not ask ${address}: ${error.message}`,
            );
          throw error;
        } finally {
          leave();
        }
      },
      head: (address, query, options) =>
        attempted(address, async (attempt) => {
          const known = await this.#control(
            who,
            address,
            `head ${query.object.key}`,
            options,
            attempt,
            (target, signal) => target.engine.metadata.serve(query.object, query.maxAgeMs, signal),
          );
          return { head: known.head, ageMs: Math.ceil(known.ageMs) };
        }),
      invalidate: (address, { object, etag }, options) =>
        attempted(address, (attempt) =>
          this.#control(who, address, `invalidate ${etag}`, options, attempt, async (target) =>
            target.engine.metadata.forget(object, etag),
          ),
        ),
      reads: (address, report, options) => {
        const body = Uint8Array.from(report);
        const serve = async (target: Incarnation): Promise<void> => target.engine.capacity.receiveReads(body);
        return attempted(address, (attempt) => this.#report(who, address, 'reads', options, attempt, serve));
      },
      usage: async (address, report, options) => {
        const body = encodeUsageReport(report);
        const serve = async (target: Incarnation): Promise<Uint8Array> => {
          const answer = target.engine.capacity.receiveUsage(decodeUsageReport(body));
          const { state, usedBytes, capacityBytes, coveredShards, blocked } = answer.account;
          const wanted = `${answer.cutoffMinute} ${answer.freeBytes} ${answer.urgent ? 'urgent' : ''} ${blocked ?? ''}`;
          this.#options.world.note('account', `${state} ${usedBytes}/${capacityBytes} ${coveredShards} ${wanted}`);
          return encodeUsageAnswer(answer);
        };
        return decodeUsageAnswer(
          await attempted(address, (attempt) => this.#report(who, address, 'usage', options, attempt, serve)),
        );
      },
      warm: async (address, request, options) => {
        const serve = (target: Incarnation, signal: AbortSignal): Promise<WarmReply> =>
          target.engine.warm.serve({ ...request, requestId: options.requestId ?? '', signal });
        const name = `warm ${request.chunk.path}`;
        const ask = (attempt: Attempt) => this.#control(who, address, name, options, attempt, serve);
        const reply = await attempted(address, ask).catch((error: unknown) => {
          if (hasCode(error, 'peer_unavailable')) ledger.excuse(request.chunk.path, 'replicas', error.message);
          throw error;
        });
        if (reply.kind === 'stored') return { originBytes: reply.originBytes };
        throw new OrcaError('not_coordinator', `${address} takes ${reply.owner} for the owner`);
      },
      close: async () => {},
    };
  }

  /** A slow origin must not look like a dead peer. */
  #checkDead(who: Incarnation, address: PeerAddress): void {
    const { scenario, world } = this.#options;
    if (PEER_TROUBLE.some((fault) => scenario.faults.has(fault))) return;
    world.violate('only the dead are dead', `${who.owner.name} takes ${address} for dead`);
  }

  /** A peer that was dead is tried again, also if it returned at the same address without a change of the view. */
  #checkTimeOfLastCall(caller: Incarnation, address: PeerAddress, calledMs: number): void {
    const { world } = this.#options;
    if (world.nowMs - calledMs <= MOST_SKIPPED_MS) return;
    const what = `${caller.owner.name} skips ${address}, which it called ${world.nowMs - calledMs} ms ago`;
    world.violate('only the dead are dead', what);
  }

  /** A replica calls peers only for its own clients: a peer's request is not forwarded to a third replica. */
  #countCall(who: Incarnation, address: PeerAddress, request: FillRequest, options: CallOptions): void {
    const { world, progressOf } = this.#options;
    const { path } = request.chunk;
    this.calls++;
    const id = options.requestId ?? '';
    world.note(
      'rpc',
      `${who.owner.name} -> ${address} ${request.reason} ${path} [${request.range.from}, ${request.range.to}) for ${id}`,
    );
    // It belongs to no reader.
    if (request.reason === 'commit') return;
    const progress = progressOf(id);
    if (progress?.home !== who.address)
      world.violate(
        'no second hop',
        `${who.owner.name} asks ${address} for ${path} in the name of ${id}, served at ${progress?.home}`,
      );
    else this.#checkDemand(id, request, progress);
    // After progress, it may send further requests.
    const name = `${id} ${path} ${request.range.from}`;
    const calls = (this.#calls.get(name) ?? 0) + 1;
    this.#calls.set(name, calls);
    if (calls > MAX_CALLS_PER_CHUNK)
      world.violate('bounded', `${id} asks peers for ${path} more than ${MAX_CALLS_PER_CHUNK} times`);
  }

  /** Read-ahead never waits for memory; the next chunk of a started response waits up to the stall limit. */
  #checkDemand(id: string, { chunk, range, demand }: FillRequest, { version, from, at }: Progress): void {
    const { world } = this.#options;
    const askedAt = chunk.range.from + range.from;
    const isNext = version !== undefined && askedAt === at;
    // A reader of a shared stream may be behind the stream; it has reached this chunk.
    const isAtIt = version !== undefined && at >= chunk.range.from && at <= askedAt;
    if (demand === 'started' && !isAtIt)
      world.violate(
        'memory is granted in order',
        `${id} requests from ${askedAt} on as started, its response is at ${at}`,
      );
    // A slice that is continued belongs to a started response; one that begins at its start may be read ahead.
    if (demand === 'new' && isNext && askedAt > Math.max(from, chunk.range.from))
      world.violate('memory is granted in order', `${id} requests from ${askedAt} on as new, after it has started`);
  }

  #exchange(
    who: Incarnation,
    address: PeerAddress,
    request: FillRequest,
    sink: ByteSink,
    options: FillOptions,
    attempt: Attempt,
  ): Promise<FillAnswer> {
    const { world, random, scenario } = this.#options;
    const { signal } = options;
    if (signal.aborted) return Promise.reject(cancelledBy(signal));
    const { promise, resolve, reject } = Promise.withResolvers<FillAnswer>();
    const latencyMs = scenario.peer.latencyMs * (0.5 + random.next());
    const firstByteMs = options.firstByteTimeoutMs ?? request.deadlineMs;
    const stallMs = options.stallTimeoutMs ?? Infinity;
    const lengthBytes = rangeLength(request.range);
    let settled = false;
    let gotBytes = 0;
    let lives = 0;
    let isStreaming = false;
    let cancelSilence = (): void => {};
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      cancelSilence();
      cancelFirstByte();
      signal.removeEventListener('abort', onAbort);
      this.#exchanges.delete(exchange);
      connection.hangUp();
      finish();
    };
    const fail = (message: string, details?: string): void =>
      settle(() => reject(unavailable(`${address}: ${message}`, details)));
    const onAbort = (): void => settle(() => reject(cancelledBy(signal)));
    /** Fails after `limitMs` of silence. A process that was frozen first reads what has arrived meanwhile. */
    const watch = (limitMs: number, isDead: boolean): void => {
      cancelSilence();
      if (limitMs === Infinity) return;
      cancelSilence = world.at(limitMs, who.owner, 'silence', () => {
        const seen = lives;
        cancelSilence = world.at(0, who.owner, 'silence', () => {
          if (seen !== lives) return;
          if (isDead) {
            this.#checkDead(who, address);
            attempt.dead();
          }
          fail(`silent for ${limitMs} ms`, isDead ? 'silence' : 'stall');
        });
      });
    };
    const life = (): void => {
      lives++;
      attempt.alive();
      watch(isStreaming ? stallMs : DEAD_AFTER_MS, !isStreaming);
    };
    const data = (bytes: Uint8Array): number => {
      if (settled) return 0;
      life();
      let taken = 0;
      while (taken < bytes.length) {
        const space = sink.space();
        if (space === undefined) {
          cancelSilence();
          sink.onSpace(() => {
            if (settled) return;
            watch(stallMs, false);
            world.at(0, who.owner, 'room', () => exchange.blocked || connection.resume());
          });
          return taken;
        }
        const length = Math.min(space.length, bytes.length - taken);
        space.set(bytes.subarray(taken, taken + length));
        taken += length;
        gotBytes += length;
        sink.filled(length);
        if (settled) return taken;
      }
      return taken;
    };
    const end = (): void => {
      if (gotBytes === lengthBytes) settle(() => resolve({ kind: 'bytes' }));
      else fail(`the stream ended with ${gotBytes} of ${lengthBytes} bytes`);
    };
    const target = this.#processAt(address);
    const fault = this.#fault(lengthBytes, request.chunk.path, `${who.owner.name} -> ${address}`);
    const connection = new Connection(world, {
      server: typeof target === 'string' ? NO_OWNER : target.owner,
      receiver: { owner: who.owner, data, end, cut: () => fail('the connection was cut') },
      random,
      latencyMs,
      bytesPerMs: scenario.peer.bytesPerMs,
      fault: typeof fault === 'string' ? undefined : fault,
    });
    const isParted = this.#isParted(who.address, address);
    const exchange: Exchange = { requester: who, from: who.address, to: address, connection, blocked: isParted };
    this.#exchanges.add(exchange);
    signal.addEventListener('abort', onAbort, { once: true });
    const cancelFirstByte = world.at(firstByteMs, who.owner, 'late', () => fail(`no answer within ${firstByteMs} ms`));
    watch(DEAD_AFTER_MS, true);
    if (target === 'nowhere' || isParted || fault === 'lost request') return promise;
    if (target === 'closed' || fault === 'refused') {
      world.at(latencyMs, who.owner, 'refused', () => {
        if (!settled) attempt.dead();
        fail('connection refused');
      });
      return promise;
    }
    target.connections.add(connection);
    const send = (label: string, action: () => void): void => {
      if (exchange.blocked) return;
      world.at(latencyMs, who.owner, label, () => settled || action());
    };
    world.at(latencyMs, target.owner, 'rpc', () => {
      if (connection.isClosed) return;
      void this.#serve(target, request, options.requestId ?? '', connection, {
        alive: () => send('102', life),
        head: (source) => {
          if (fault === 'lost answer') connection.cut();
          send('head', () => {
            cancelFirstByte();
            isStreaming = true;
            options.onSource?.(source);
            life();
          });
        },
        answer: (answer) => {
          if (fault === 'lost answer') connection.cut();
          else send('answer', () => settle(() => (attempt.alive(), resolve(answer))));
        },
        refuse: (error) => send('refusal', () => settle(() => (attempt.alive(), reject(error)))),
      }).finally(() => target.connections.delete(connection));
    });
    return promise;
  }

  /** What `http/peer.ts` does with the request. */
  async #serve(
    target: Incarnation,
    request: FillRequest,
    requestId: string,
    connection: Connection,
    reply: {
      alive(): void;
      head(source: FillSource): void;
      answer(answer: Exclude<FillReply, { kind: 'bytes' }>): void;
      refuse(error: OrcaError): void;
    },
  ): Promise<void> {
    const { world } = this.#options;
    const { clock, engine } = target;
    const terms = parseFillTerms(formatFillTerms(request));
    const aborter = new AbortController();
    connection.onClose(() => aborter.abort(new OrcaError('cancelled', 'the requester closed the connection')));
    let cancelProcessing = (): void => {};
    const processing = (): void => {
      cancelProcessing = clock.after(PROCESSING_INTERVAL_MS, () => {
        reply.alive();
        processing();
      });
    };
    processing();
    let streaming = false;
    const pace = new ReaderPace();
    target.serving++;
    try {
      const late = (): OrcaError => new OrcaError('origin_unavailable', `no bytes within ${terms.deadlineMs} ms`);
      const answer = await withDeadline(clock, terms.deadlineMs, late, aborter.signal, (signal) =>
        engine.serveFill({ chunk: request.chunk, range: request.range, ...terms, signal, requestId, pace }),
      );
      cancelProcessing();
      world.note('serve', `${target.owner.name} answers ${requestId} ${answer.kind}`);
      if (
        answer.kind === 'stored' &&
        request.reason === 'not_stored' &&
        this.#options.store.isMissing(request.chunk.path)
      )
        world.violate(
          'what is absent is filled',
          `${target.owner.name} reports ${request.chunk.path} as stored after the reason not_stored`,
        );
      if (answer.kind !== 'bytes') {
        reply.answer(answer);
        return;
      }
      streaming = true;
      reply.head(answer.source);
      await sendBody(
        connection.response,
        connection.socket,
        answer.body,
        rangeLength(request.range),
        sendingOf(target, pace),
      );
    } catch (thrown) {
      cancelProcessing();
      const error = asOrcaError(thrown, 'internal', 'unexpected');
      world.note('serve', `${target.owner.name} answers ${requestId} ${error.code}: ${error.message}`);
      if (error.code === 'internal')
        world.violate('errors are named', `a peer's request ended with ${describe(thrown)}`);
      if (streaming) connection.destroy();
      else reply.refuse(refusal(target.address, error));
    } finally {
      target.serving--;
    }
  }

  /** The request or the answer may be lost, or a copy arrives later. */
  #report<T>(
    who: Incarnation,
    address: PeerAddress,
    what: string,
    options: CallOptions,
    attempt: Attempt,
    serve: (target: Incarnation) => Promise<T>,
  ): Promise<T> {
    const { world, faults, capacityRandom } = this.#options;
    const window = faults.window('report-errors');
    const isStruck = window !== undefined && capacityRandom.chance(window.probability);
    const fault = isStruck ? capacityRandom.pick(['lost request', 'lost answer', 'copy', 'copy'] as const) : undefined;
    if (fault === 'copy') {
      const target = this.#processAt(address);
      if (typeof target !== 'string')
        world.at(capacityRandom.magnitude(1, COPY_MS), target.owner, 'copy', () => void serve(target));
    }
    return this.#control(who, address, what, options, attempt, serve, fault === 'copy' ? undefined : fault);
  }

  /** A call without a body in either direction. */
  #control<T>(
    who: Incarnation,
    address: PeerAddress,
    what: string,
    options: CallOptions,
    attempt: Attempt,
    serve: (target: Incarnation, signal: AbortSignal) => Promise<T>,
    ownFault?: 'lost request' | 'lost answer',
  ): Promise<T> {
    const { world, random, scenario, faults } = this.#options;
    const { signal } = options;
    if (signal.aborted) return Promise.reject(cancelledBy(signal));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const latencyMs = scenario.peer.latencyMs * (0.5 + random.next());
    const aborter = new AbortController();
    let settled = false;
    let lives = 0;
    let cancelSilence = (): void => {};
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      cancelSilence();
      signal.removeEventListener('abort', onAbort);
      world.at(latencyMs, typeof target === 'string' ? NO_OWNER : target.owner, 'close', () =>
        aborter.abort(new OrcaError('cancelled', 'the requester closed the connection')),
      );
      finish();
    };
    const fail = (message: string): void => settle(() => reject(unavailable(`${address}: ${message}`)));
    const onAbort = (): void => settle(() => reject(cancelledBy(signal)));
    const watch = (): void => {
      cancelSilence();
      cancelSilence = world.at(DEAD_AFTER_MS, who.owner, 'silence', () => {
        const seen = lives;
        cancelSilence = world.at(0, who.owner, 'silence', () => {
          if (seen !== lives) return;
          this.#checkDead(who, address);
          attempt.dead();
          fail(`silent for ${DEAD_AFTER_MS} ms`);
        });
      });
    };
    world.note('rpc', `${who.owner.name} -> ${address} ${what}`);
    signal.addEventListener('abort', onAbort, { once: true });
    watch();
    const target = this.#processAt(address);
    const isParted = this.#isParted(who.address, address);
    const fault =
      ownFault ??
      (faults.strikes('peer-errors') &&
        random.pick(['refused', 'lost request', 'lost answer', 'lost answer'] as const));
    if (target === 'nowhere' || isParted || fault === 'lost request') return promise;
    if (target === 'closed' || fault === 'refused') {
      world.at(latencyMs, who.owner, 'refused', () => {
        if (!settled) attempt.dead();
        fail('connection refused');
      });
      return promise;
    }
    const reply = (action: () => void): void => {
      if (!this.#isParted(who.address, address))
        world.at(latencyMs, who.owner, 'answer', () => settled || (lives++, attempt.alive(), action()));
    };
    let cancelProcessing = (): void => {};
    const processing = (): void => {
      cancelProcessing = target.clock.after(PROCESSING_INTERVAL_MS, () => {
        reply(watch);
        processing();
      });
    };
    world.at(latencyMs, target.owner, 'rpc', () => {
      if (settled) return;
      processing();
      target.serving++;
      serve(target, aborter.signal).then(
        (value) => {
          target.serving--;
          cancelProcessing();
          if (fault === 'lost answer') reply(() => fail('the connection was cut'));
          else reply(() => settle(() => resolve(value)));
        },
        (thrown: unknown) => {
          target.serving--;
          cancelProcessing();
          const error = asOrcaError(thrown, 'internal', 'unexpected');
          if (error.code === 'internal') world.violate('errors are named', `${what} ended with ${describe(thrown)}`);
          reply(() => settle(() => reject(refusal(target.address, error))));
        },
      );
    });
    return promise;
  }

  #fault(
    lengthBytes: number,
    path: string,
    who: string,
  ): ConnectionFault | 'refused' | 'lost request' | 'lost answer' | undefined {
    const { faults, random, ledger, world } = this.#options;
    if (faults.strikes('peer-errors') === undefined) return undefined;
    const what = random.pick(['refused', 'lost request', 'lost answer', 'cut', 'cut', 'cut', 'stall'] as const);
    world.note('fault', `${who}: ${what}`);
    ledger.excuse(path, 'replicas', `${who}: ${what}`);
    if (what === 'cut' || what === 'stall') return { what, afterBytes: random.int(0, lengthBytes) };
    return what;
  }
}

/** The error as it reaches the requester. */
function refusal(address: PeerAddress, error: OrcaError): OrcaError {
  const said = refusalOf(error);
  const retryAfter = said?.retryAfterSeconds === undefined ? undefined : String(said.retryAfterSeconds);
  const parsed = said && parseRefusal(`peer ${address}`, said.status, said.body, retryAfter);
  return parsed ?? unavailable(`${address} answered 500`);
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `, because of ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

function unavailable(message: string, details?: string): OrcaError {
  return new OrcaError('peer_unavailable', message, details === undefined ? {} : { details });
}
