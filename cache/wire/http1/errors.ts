/** What can go wrong on the wire, before anybody gives it a meaning: drivers map it to their own codes. */

export type WireFailure =
  | 'connect' // no connection: refused, unreachable, no such name, TLS refused, connect deadline
  | 'first_byte' // the answer's head did not come in time
  | 'silence' // no sign of life (1xx counts as one) before the head
  | 'stall' // no progress for too long while there was room
  | 'closed' // the connection ended or was reset in the middle
  | 'protocol'; // the answer can't be parsed, or is not framed as asked

export class WireError extends Error {
  readonly failure: WireFailure;

  constructor(failure: WireFailure, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'WireError';
    this.failure = failure;
  }
}
