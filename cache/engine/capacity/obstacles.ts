/**
 * What keeps this replica from evicting: the cachestore does not permit to list or to delete, or a pin is unreadable. Each is
 * logged once, and reported to the accountant until it has ended.
 */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import type { Observer } from '#cache/engine/ports.ts';

const DENIED = [401, 403];

export type Obstacle = 'list' | 'delete' | 'pins';

export class Obstacles {
  readonly #observer: Observer;
  readonly #reasons = new Map<Obstacle, string>();

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** Undefined = no obstacle is known. */
  get reason(): string | undefined {
    return this.#reasons.get('list') ?? this.#reasons.get('delete') ?? this.#reasons.get('pins');
  }

  /** A call has failed. It is an obstacle if the cachestore has denied it. */
  failed(operation: 'list' | 'delete', error: unknown): void {
    const { message } = asOrcaError(error, 'store_unavailable', 'the cachestore failed');
    if (isDenied(error)) this.met(operation, `the cachestore does not permit to ${operation}: ${message}`);
  }

  met(obstacle: Obstacle, reason: string): void {
    const isKnown = this.#reasons.has(obstacle);
    this.#reasons.set(obstacle, reason);
    if (!isKnown) this.#observer.warn('cachestore: nothing can be evicted', { reason });
  }

  cleared(obstacle: Obstacle): void {
    this.#reasons.delete(obstacle);
  }
}

export function isDenied(error: unknown): boolean {
  return error instanceof OrcaError && error.status !== undefined && DENIED.includes(error.status);
}
