/**
 * The error type of the Kubernetes client. `status` is the HTTP status, or 0 without a response. `reason` is the API's
 * CamelCase reason or, without a response, one of `Unreachable`, `StaleConnection` (a kept-alive connection was closed
 * during the request), `Timeout`, `Silent` (a watch without data), `Malformed`, `Credentials`.
 */
import type { Status, StatusDetails } from './types.ts';

export interface KubeErrorOptions {
  readonly cause?: unknown;
  readonly details?: StatusDetails | undefined;
  readonly retryAfterMs?: number | undefined;
}

export class KubeError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, options: KubeErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'KubeError';
    this.status = status;
    this.reason = reason;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether `error` is a response of the API server with one of the statuses (404, 409, …). */
export function hasStatus(error: unknown, ...statuses: readonly number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** `what` names the request in the message, before the message of the response. */
export function errorFromStatus(what: string, httpStatus: number, body: unknown, retryAfterHeader?: string): KubeError {
  const status: Status = isStatus(body) ? body : {};
  const code = httpStatus >= 400 ? httpStatus : (status.code ?? 500);
  const seconds = Number(retryAfterHeader ?? status.details?.retryAfterSeconds ?? Number.NaN);
  return new KubeError(
    code,
    status.reason ?? '',
    `${what}: ${code} ${status.message ?? status.reason ?? ''}`.trimEnd(),
    {
      details: status.details,
      // API servers send seconds. A date is ignored.
      retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined,
    },
  );
}

function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status';
}
