/** Transport failures before they have a meaning: each driver maps them to its own error codes. */

export type WireFailure =
  | 'connect' // no connection: refused, unreachable, unknown name, TLS refused, connect deadline
  | 'first_byte' // the response head did not arrive in time
  | 'silence' // no sign of life (1xx counts as one) before the head
  | 'stall' // no progress for too long while there was room
  | 'slow' // a document that made progress, but did not end in time
  | 'closed' // the connection was closed or reset in the middle
  | 'protocol'; // the response can't be parsed, or is not framed as requested

export class WireError extends Error {
  readonly failure: WireFailure;

  constructor(failure: WireFailure, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'WireError';
    this.failure = failure;
  }
}
