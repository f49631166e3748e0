/**
 * Export of spans by OTLP over HTTP, with OpenTelemetry's SDK (docs/adr/0024-opentelemetry.md). The SDK is imported only
 * when an endpoint is configured.
 */
import type { SpanOptions } from '@opentelemetry/api';
import type { Span, SpanAttributes, SpanKind, Tracer } from '#shared/trace.ts';

/** A batch every few seconds: 512 spans of 1 KiB are one request of half a MiB. */
const BATCH_SPANS = 512;
const BATCH_DELAY_MS = 5_000;
/** Four batches, some 4 MiB. More spans are dropped: an endpoint that does not answer must not cost memory. */
const MAX_QUEUED_SPANS = 2_048;
const EXPORT_TIMEOUT_MS = 10_000;
/** Two exports at a time; further batches wait in the queue. */
const MAX_EXPORTS = 2;
/** Object keys have at most 1024 bytes. */
const MAX_ATTRIBUTE_LENGTH = 1_024;

export interface TelemetrySettings {
  readonly otlpEndpoint: string;
  /** One new trace of this many is recorded; a client's decision takes precedence. */
  readonly sample: number;
}

export interface Telemetry {
  readonly tracer: Tracer;
  /** Exports what is queued, for at most EXPORT_TIMEOUT_MS. Never rejects. */
  close(): Promise<void>;
}

export async function openTelemetry(settings: TelemetrySettings, version: string): Promise<Telemetry> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const url = `${settings.otlpEndpoint.replace(/\/$/, '')}/v1/traces`;
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'orcacache', 'service.version': version }),
    // `isSampled` decides, before a span costs anything.
    sampler: new sdk.AlwaysOnSampler(),
    spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_LENGTH, attributeCountLimit: 16 },
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS, concurrencyLimit: MAX_EXPORTS }),
        maxQueueSize: MAX_QUEUED_SPANS,
        maxExportBatchSize: BATCH_SPANS,
        scheduledDelayMillis: BATCH_DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const { trace, ROOT_CONTEXT, SpanStatusCode, TraceFlags } = api;
  const KINDS = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT, internal: api.SpanKind.INTERNAL };
  const otel = provider.getTracer('orcacache', version);

  const start = (name: string, kind: SpanKind, parent: string | undefined, attributes: SpanAttributes): Span => {
    const options: SpanOptions = { kind: KINDS[kind], attributes };
    const context =
      parent === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, TraceFlags.SAMPLED));
    const span = otel.startSpan(name, options, context);
    const { traceId, spanId } = span.spanContext();
    return {
      traceparent: `00-${traceId}-${spanId}-01`,
      set: (more) => void span.setAttributes(more),
      end(error) {
        if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: codeOf(error) });
        span.end();
      },
    };
  };
  return {
    tracer: {
      isSampled: (parent) => (parent === undefined ? Math.random() * settings.sample < 1 : isFlagged(parent)),
      start,
    },
    close: () => provider.shutdown().catch(() => {}),
  };
}

/** The client records this trace. */
function isFlagged(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1;
}

/** A traceparent that has been validated. */
function spanContextOf(traceparent: string, traceFlags: number) {
  const [, traceId = '', spanId = ''] = traceparent.split('-');
  return { traceId, spanId, traceFlags, isRemote: true };
}

/** Messages of errors may contain what no other system should store; codes do not. */
function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : 'internal';
}
