/**
 * What is logged about requests: failures, with `logLevel: debug` every request, and the access log. The number of lines
 * is bounded, except for the access log, which is complete by definition; `sample` bounds it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OrcaError } from '#cache/core/errors.ts';
import type { Caller } from '#cache/core/s3/key-ring.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { rowFor, type ErrorContext } from '#cache/http/respond.ts';
import type { Log, LogFields } from '#shared/log.ts';
import { clientOf, type AccessLog, type Client } from './access-log.ts';
import type { EdgeResult } from './call.ts';
import { LineBudget } from './line-budget.ts';
import { RequestTrace } from './request-trace.ts';
import { subResourceOf } from './sub-resources.ts';

/** Enough to see one client's requests; at 1 KiB a line it is 1 MiB a second. */
const REQUESTS_PER_SECOND = 1_000;
/** Failures have a stack; an outage makes all of them the same. */
const FAILURES_PER_SECOND = 100;

export interface RequestLogOptions {
  readonly engine: Pick<Engine, 'coordinators'>;
  readonly clock: Clock;
  readonly log: Log;
  /** undefined = none. */
  readonly accessLog: AccessLog | undefined;
}

/** One request whose details are collected. */
export interface Traced {
  readonly trace: RequestTrace;
  readonly isDebug: boolean;
  /** Set if the request is in the access log. */
  readonly client: Client | undefined;
}

/** How a request ended. */
export interface Ended {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: ErrorContext;
  readonly caller: Caller | undefined;
  readonly query: ReadonlyMap<string, string> | undefined;
  readonly result: EdgeResult;
  readonly elapsedMs: number;
}

export class RequestLog {
  readonly #options: RequestLogOptions;
  readonly #requests = new LineBudget(REQUESTS_PER_SECOND);
  readonly #failures = new LineBudget(FAILURES_PER_SECOND);

  constructor(options: RequestLogOptions) {
    this.#options = options;
  }

  /** Undefined if nothing is logged about a request that succeeds: then nothing is collected. */
  begin(request: IncomingMessage): Traced | undefined {
    const { log, accessLog } = this.#options;
    const isDebug = log.isEnabled('debug');
    const isInAccessLog = accessLog !== undefined && accessLog.isSampled();
    if (!isDebug && !isInAccessLog) return undefined;
    return { trace: new RequestTrace(), isDebug, client: isInAccessLog ? clientOf(request) : undefined };
  }

  succeeded({ trace, isDebug, client }: Traced, ended: Ended): void {
    if (isDebug) {
      const suppressed = this.#requests.take(this.#options.clock.now());
      if (suppressed !== undefined)
        this.#options.log.debug('request', {
          ...fieldsOf(ended),
          cache: ended.result.cache,
          ...trace.fields(this.#options.engine),
          ...(suppressed > 0 && { suppressed }),
        });
    }
    if (client !== undefined) this.#writeAccess(trace, client, ended, undefined);
  }

  failed(traced: Traced | undefined, ended: Ended, error: OrcaError): void {
    const { log, clock, engine } = this.#options;
    const { s3, log: level } = rowFor(error);
    if (log.isEnabled(level)) {
      const suppressed = this.#failures.take(clock.now());
      if (suppressed !== undefined)
        log[level]('request failed', {
          ...fieldsOf(ended),
          ...traced?.trace.fields(engine),
          ...(suppressed > 0 && { suppressed }),
          error,
        });
    }
    if (traced?.client !== undefined) this.#writeAccess(traced.trace, traced.client, ended, s3);
  }

  #writeAccess(trace: RequestTrace, client: Client, ended: Ended, errorCode: string | undefined): void {
    const { accessLog, clock } = this.#options;
    const { request, response, context, caller, query, result, elapsedMs } = ended;
    const { requestId, bucket, key } = context;
    accessLog?.write({
      request,
      client,
      requestId,
      atMs: clock.date() - elapsedMs,
      bucket,
      key,
      versionId: context.versionId ?? trace.versionId,
      requester: caller?.signed === true ? caller.label : undefined,
      subResource: query && subResourceOf(query),
      status: result.status,
      errorCode,
      cache: result.cache,
      bytes: trace.objectSizeBytes === undefined ? documentBytes(request, response) : trace.bytes,
      objectSizeBytes: trace.objectSizeBytes,
      sources: trace.sources,
      ms: elapsedMs,
      firstByteMs: trace.firstByteMs,
    });
  }
}

function fieldsOf({ request, context, caller, result, elapsedMs }: Ended): LogFields {
  const { range } = request.headers;
  return {
    ...context,
    method: request.method ?? '',
    ...(range !== undefined && { rangeHeader: range }),
    ...(caller !== undefined && { caller: caller.label }),
    status: result.status,
    ms: Math.round(elapsedMs * 1000) / 1000,
  };
}

/** The length of a list, an error or another document. */
function documentBytes(request: IncomingMessage, response: ServerResponse): number {
  const length = request.method === 'HEAD' ? 0 : Number(response.getHeader('content-length') ?? 0);
  return Number.isFinite(length) ? length : 0;
}
