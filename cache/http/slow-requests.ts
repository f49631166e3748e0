/** The slowest client requests of the last half minute or so. A request that is not one of them costs a comparison. */

export interface SlowRequest {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly status: number;
  readonly cache: string;
  readonly durationMs: number;
}

/** As many as people look at. */
const MAX_SHOWN = 10;
/** Clients choose keys of up to 1 KiB. */
const MAX_KEY_LENGTH = 256;

export class SlowRequests {
  #current: SlowRequest[] = [];
  #previous: readonly SlowRequest[] = [];
  /** The fastest of `#current`, once that is full. */
  #limitMs = 0;

  note(durationMs: number, method: string, status: number, cache: string, bucket: string, key: string): void {
    if (durationMs <= this.#limitMs) return;
    const request = { method, bucket, key: key.slice(0, MAX_KEY_LENGTH), status, cache, durationMs };
    this.#current = slowest([...this.#current, request]);
    if (this.#current.length === MAX_SHOWN) this.#limitMs = this.#current.at(-1)?.durationMs ?? 0;
  }

  /** Starts a new window; requests are shown for one more. */
  rotate(): void {
    this.#previous = this.#current;
    this.#current = [];
    this.#limitMs = 0;
  }

  /** The slowest first. */
  list(): readonly SlowRequest[] {
    return slowest([...this.#current, ...this.#previous]);
  }
}

function slowest(requests: readonly SlowRequest[]): SlowRequest[] {
  return requests.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, MAX_SHOWN);
}
