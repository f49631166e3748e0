/** Export of traces. */
import { integer, text, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

export const telemetry = {
  type: 'object',
  description:
    'Distributed tracing. The `traceparent` of clients is always passed on to replicas, origin and cachestore; with an ' +
    'endpoint, spans are exported too.',
  required: ['otlpEndpoint'],
  properties: {
    otlpEndpoint: text('URL of an OpenTelemetry collector that accepts OTLP over HTTP, without `/v1/traces`.', {
      maxLength: 253,
      pattern: '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$',
      message: 'must be http(s)://host[:port][/path], without user, query or fragment',
    }),
    sample: withDefault(
      integer(
        'One new trace of this many is recorded. Requests with a `traceparent` follow the decision of their client.',
        1,
        1_000_000,
      ),
      100,
      'which is 10 traces a second at 1000 requests a second',
    ),
  },
} as const satisfies Schema;
