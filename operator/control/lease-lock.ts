/**
 * A LeaseLock as one candidate sees it. Whether another's hold is over is told by this process's own clock alone: since when
 * it has seen the record unchanged. Whether our own hold is over is known without asking anybody.
 */
import { collectionPath } from '#operator/api/manifest.ts';
import { microTime } from '#operator/api/micro-time.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { hasStatus } from '#shared/kube/error.ts';
import type { KubeObject } from '#shared/kube/types.ts';

/** What others wait for before they take over; client-go's defaults, as all three. */
const LEASE_SECONDS = 15;
/** A holder that could not renew for so long stops: 5 s before others start, as long as a request may be under way. */
export const RENEW_DEADLINE_MS = 10_000;
/** One slow answer leaves time for another try. */
const REQUEST_TIMEOUT_MS = 5000;
/** A process that ends has no more time for it. */
const RELEASE_TIMEOUT_MS = 1000;
/** Others may take a released lease at once; the API wants a positive number. */
const RELEASED_SECONDS = 1;

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  /** Of this process: the same pod after a restart is another candidate. */
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
  /** As we wrote it last; undefined while it isn't ours or somebody else touched it. */
  #ours: LeaseObject | undefined;
  #seen = '';
  #seenAtMs = 0;
  #heldUntil = { monotonicMs: 0, dateMs: 0 };

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#collection = collectionPath('coordination.k8s.io/v1', 'leases', options.namespace);
  }

  /** Counted from when the last good renewal was sent; what is negative is over. */
  get leftMs(): number {
    const { clock } = this.#options;
    // Two clocks: one stands still while a machine is suspended, the other may be set back.
    return Math.min(this.#heldUntil.monotonicMs - clock.now(), this.#heldUntil.dateMs - clock.date());
  }

  /** Right before a byte of a write leaves: a process that slept must not go on where it was. */
  assertHeld(): void {
    if (this.leftMs <= 0) throw new LeaseLost('the lease was not renewed in time: nothing is written any more');
  }

  /** Takes or renews it, in one try; false while another has it. Rejects where the API server does not say. */
  async hold(): Promise<boolean> {
    if (this.#ours !== undefined) {
      const renewed = await this.#write(this.#ours);
      if (renewed) return true;
    }
    const live = await this.#read();
    if (live === undefined) return this.#create();
    return this.#isFree(live) ? this.#write(live) : false;
  }

  /** So that another can begin at once. */
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
    // Not under the signal: this is what is done after it.
    try {
      await this.#options.client.request('PUT', this.#path, { body: { ...ours, spec }, timeoutMs: RELEASE_TIMEOUT_MS });
    } catch (error) {
      // Somebody has taken it meanwhile, or it is gone.
      if (!hasStatus(error, 404, 409)) throw error;
    }
  }

  get #path(): string {
    return `${this.#collection}/${this.#options.name}`;
  }

  /** A try that ends after the hold has ended is of no use. */
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
      kind: 'LeaseLock',
      metadata: { name, namespace },
      spec: { ...this.#spec(), acquireTime: microTime(this.#options.clock.date()), leaseTransitions: 0 },
    });
  }

  /** Against what was read: whoever was faster wins. */
  #write(live: LeaseObject): Promise<boolean> {
    const { spec = {} } = live;
    const isNew = spec.holderIdentity !== this.#options.identity;
    return this.#send('PUT', this.#path, {
      ...live,
      spec: {
        ...spec,
        ...this.#spec(),
        ...(isNew
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
