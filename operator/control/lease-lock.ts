/**
 * The Kubernetes Lease of the leader election, from the point of view of one candidate. The expiry of another holder is
 * measured with the local clock only, from the time the record was last seen to change. The expiry of our own hold is
 * known without a request.
 */
import { collectionPath } from '#operator/api/manifest.ts';
import { microTime } from '#operator/api/micro-time.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { KubeObject } from '#shared/kube/types.ts';

/** How long others wait before they take over: client-go's default, like the two values below and `RETRY_MS`. */
const LEASE_SECONDS = 15;
/**
 * A holder that could not renew for this long stops: 5 s before others may start, the longest time a request can take.
 */
export const RENEW_DEADLINE_MS = 10_000;
/** Half the renew deadline, which leaves time for a second attempt. */
const REQUEST_TIMEOUT_MS = 5000;
/** A terminating process must not wait longer. */
const RELEASE_TIMEOUT_MS = 1000;
/** Others may take a released lease at once; the API requires a positive duration. */
const RELEASED_SECONDS = 1;

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  /** Unique per process: a restarted pod is a different candidate. */
  readonly identity: string;
  readonly signal: AbortSignal;
}

interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export class LeaseLost extends Error {}

export class LeaseLock {
  readonly #options: LeaseOptions;
  readonly #collection: string;
  /** The lease as this process last wrote it; undefined if it is not held or was changed by another writer. */
  #ours: LeaseObject | undefined;
  #seen = '';
  #seenAtMs = 0;
  #heldUntil = { monotonicMs: 0, dateMs: 0 };

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#collection = collectionPath('coordination.k8s.io/v1', 'leases', options.namespace);
  }

  /** Remaining time of the hold, counted from when the last successful renewal was sent. Expired at 0 or below. */
  get leftMs(): number {
    const { clock } = this.#options;
    // Two clocks: the monotonic one stops while the machine is suspended, and the wall clock may be set back.
    return Math.min(this.#heldUntil.monotonicMs - clock.now(), this.#heldUntil.dateMs - clock.date());
  }

  /** Called just before a write is sent: a process that was suspended must not continue with an expired lease. */
  assertHeld(): void {
    if (this.leftMs <= 0) throw new LeaseLost('the lease was not renewed in time: writes are refused');
  }

  /** Acquires or renews the lease in one attempt. False if another candidate holds it; rejects if the request fails. */
  async hold(): Promise<boolean> {
    if (this.#ours !== undefined) {
      const renewed = await this.#write(this.#ours);
      if (renewed) return true;
    }
    const live = await this.#read();
    if (live === undefined) return this.#create();
    return this.#isFree(live) ? this.#write(live) : false;
  }

  /** Lets another candidate start at once, without waiting for the expiry. */
  async release(): Promise<void> {
    const { clock } = this.#options;
    const ours = this.#ours;
    this.#ours = undefined;
    this.#heldUntil = { monotonicMs: 0, dateMs: 0 };
    if (ours === undefined) return;
    const spec = {
      ...ours.spec,
      holderIdentity: '',
      leaseDurationSeconds: RELEASED_SECONDS,
      renewTime: microTime(clock.date()),
    };
    // Without the signal: the release happens after it has aborted.
    try {
      await this.#options.client.request('PUT', this.#path, { body: { ...ours, spec }, timeoutMs: RELEASE_TIMEOUT_MS });
    } catch (error) {
      // Another candidate has already taken it, or it was deleted.
      if (!hasStatus(error, 404, 409)) throw error;
    }
  }

  get #path(): string {
    return `${this.#collection}/${this.#options.name}`;
  }

  /** A renewal that ends after the hold has expired is useless. */
  get #timeoutMs(): number {
    const leftMs = this.leftMs;
    return leftMs > 0 ? Math.min(leftMs, REQUEST_TIMEOUT_MS) : REQUEST_TIMEOUT_MS;
  }

  async #read(): Promise<LeaseObject | undefined> {
    const { client, clock, signal } = this.#options;
    try {
      const live = await client.request<LeaseObject>('GET', this.#path, { timeoutMs: this.#timeoutMs, signal });
      const record = JSON.stringify(live.spec ?? {});
      if (record !== this.#seen) {
        this.#seen = record;
        this.#seenAtMs = clock.now();
      }
      return live;
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  #isFree({ spec = {} }: LeaseObject): boolean {
    const { holderIdentity = '', leaseDurationSeconds = LEASE_SECONDS } = spec;
    if (holderIdentity === '' || holderIdentity === this.#options.identity) return true;
    return this.#options.clock.now() - this.#seenAtMs >= leaseDurationSeconds * 1000;
  }

  async #create(): Promise<boolean> {
    const { name, namespace } = this.#options;
    return this.#send('POST', this.#collection, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace },
      spec: { ...this.#spec(), acquireTime: microTime(this.#options.clock.date()), leaseTransitions: 0 },
    });
  }

  /** With an optimistic lock on the version that was read: the first writer wins. */
  #write(live: LeaseObject): Promise<boolean> {
    const { spec = {} } = live;
    const isNewHolder = spec.holderIdentity !== this.#options.identity;
    return this.#send('PUT', this.#path, {
      ...live,
      spec: {
        ...spec,
        ...this.#spec(),
        ...(isNewHolder
          ? {
              acquireTime: microTime(this.#options.clock.date()),
              leaseTransitions: (spec.leaseTransitions ?? 0) + 1,
            }
          : {}),
      },
    });
  }

  #spec(): NonNullable<LeaseObject['spec']> {
    const { clock, identity } = this.#options;
    return { holderIdentity: identity, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime(clock.date()) };
  }

  async #send(method: 'POST' | 'PUT', path: string, body: LeaseObject): Promise<boolean> {
    const { client, clock, signal } = this.#options;
    const sentAt = { monotonicMs: clock.now(), dateMs: clock.date() };
    try {
      this.#ours = await client.request<LeaseObject>(method, path, { body, timeoutMs: this.#timeoutMs, signal });
    } catch (error) {
      if (!hasStatus(error, 404, 409)) throw error;
      this.#ours = undefined;
      return false;
    }
    this.#heldUntil = {
      monotonicMs: sentAt.monotonicMs + RENEW_DEADLINE_MS,
      dateMs: sentAt.dateMs + RENEW_DEADLINE_MS,
    };
    return true;
  }
}
