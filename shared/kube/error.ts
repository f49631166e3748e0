/**
 * The one error of the Kubernetes client. `status` is HTTP's, or 0 where no answer came; `reason` is the API's CamelCase
 * word, or one of ours where no answer came: `Unreachable`, `StaleConnection` (an idle connection broke under a write),
 * `Timeout`, `Silent`, `Malformed`, `Credentials`.
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

/** Whether `error` is the API's answer with one of the statuses (404, 409, …). */
export function hasStatus(error: unknown, ...statuses: readonly number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** `what` names the request; the answer's own words follow it. */
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
      // A date instead of seconds is not what API servers send; it counts as no hint.
      retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined,
    },
  );
}

function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status';
}
