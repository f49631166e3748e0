/**
 * Distributed tracing (W3C Trace Context): the context of a request travels with all asynchronous work that the request
 * starts, to the headers of further requests and into log lines. A request without a context that is not sampled pays
 * nothing: no scope is entered, and no span exists.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export type SpanKind = 'server' | 'client' | 'internal';
export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Span {
  /** For requests that belong to this span. */
  readonly traceparent: string;
  set(attributes: SpanAttributes): void;
  /** An error marks the span as failed. */
  end(error?: unknown): void;
}

/** Creates spans and exports them. */
export interface Tracer {
  /** Whether spans of this trace are recorded. */
  isSampled(parent: string | undefined): boolean;
  /** `parent`: a traceparent; undefined = a new trace. */
  start(name: string, kind: SpanKind, parent: string | undefined, attributes: SpanAttributes): Span;
}

interface Scope {
  readonly traceparent: string;
  /** Undefined = spans of this trace are not recorded. */
  readonly tracer: Tracer | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Version, 16 bytes of trace ID, 8 bytes of parent ID, flags: nothing that a client can make longer. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,256})?$/;
const NO_TRACE = '0'.repeat(32);
const NO_PARENT = '0'.repeat(16);

/** The traceparent to pass on, in the form of version 00; undefined for one that is invalid (W3C Trace Context, §3.2). */
export function parseTraceparent(header: string | readonly string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  const [, version, traceId = '', parentId = '', flags, more] = TRACEPARENT.exec(header) ?? [];
  if (version === undefined || version === 'ff' || traceId === NO_TRACE || parentId === NO_PARENT) return undefined;
  // Later versions may add fields; version 00 has none.
  if (version === '00' && more !== undefined) return undefined;
  return `00-${traceId}-${parentId}-${flags}`;
}

/** The header for a request to another process. */
export function traceHeaders(): { readonly traceparent: string } | undefined {
  const scope = scopes.getStore();
  return scope && { traceparent: scope.traceparent };
}

/** Fields of a log line. */
export function traceFields(): { readonly traceId: string } | undefined {
  const scope = scopes.getStore();
  return scope && { traceId: scope.traceparent.slice(3, 35) };
}

/**
 * Runs a server's handler of one request. `traceparent` is the request's header, not validated. Without a header and
 * without a tracer it only calls `handle`.
 */
export function withRequestTrace(
  tracer: Tracer | undefined,
  header: string | readonly string[] | undefined,
  name: string,
  handle: (span: Span | undefined) => Promise<void> | undefined,
): Promise<void> | undefined {
  const parent = header === undefined ? undefined : parseTraceparent(header);
  if (tracer === undefined || !tracer.isSampled(parent))
    return parent === undefined
      ? handle(undefined)
      : scopes.run({ traceparent: parent, tracer: undefined }, handle, undefined);
  const span = tracer.start(name, 'server', parent, {});
  return inSpan(tracer, span, async () => handle(span));
}

/** Runs `run` in a span of its own, if the present request is recorded. */
export function traced<T>(name: string, attributes: SpanAttributes, run: () => Promise<T>): Promise<T> {
  const scope = scopes.getStore();
  if (scope?.tracer === undefined) return run();
  return inSpan(scope.tracer, scope.tracer.start(name, 'client', scope.traceparent, attributes), run);
}

/** The same for a generator: each of its steps runs in the span. */
export function tracedGenerator<T>(
  name: string,
  attributes: () => SpanAttributes,
  generator: AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  const scope = scopes.getStore();
  if (scope?.tracer === undefined) return generator;
  return inSpanSteps(scope.tracer, scope.tracer.start(name, 'internal', scope.traceparent, attributes()), generator);
}

async function inSpan<T>(tracer: Tracer, span: Span, run: () => Promise<T>): Promise<T> {
  try {
    const result = await scopes.run({ traceparent: span.traceparent, tracer }, run);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}

async function* inSpanSteps<T>(
  tracer: Tracer,
  span: Span,
  generator: AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  const scope: Scope = { traceparent: span.traceparent, tracer };
  let failure: unknown;
  try {
    for (;;) {
      const step = await scopes.run(scope, () => generator.next());
      if (step.done === true) return;
      yield step.value;
    }
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await scopes.run(scope, () => generator.return());
    span.end(failure);
  }
}
