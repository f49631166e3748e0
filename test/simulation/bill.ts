/**
 * What the origin charges for each version of an object, in S3's terms: every byte that it has sent, whether a replica
 * received it or not, and every request.
 */
import type { Version } from './content.ts';
import type { World } from './world.ts';

export interface Charge {
  readonly version: Version;
  /** For fills. */
  fillBytes: number;
  /** For blocks of sparse reads. */
  sparseBytes: number;
  requests: number;
}

/** Tolerance above the size of the object: bytes in flight when a request ends early. */
const MOST_TIMES = 1.05;

export class Bill {
  readonly #charges = new Map<Version, Charge>();

  requested(version: Version): void {
    this.#of(version).requests++;
  }

  sent(version: Version, lengthBytes: number, isSparse: boolean): void {
    const charge = this.#of(version);
    if (isSparse) charge.sparseBytes += lengthBytes;
    else charge.fillBytes += lengthBytes;
  }

  /** The highest ratio of bytes sent to the object's size. */
  get worst(): number {
    return Math.max(0, ...[...this.#charges.values()].map(timesOf));
  }

  /** Where nothing fails, an object is paid for once, however many clients leave early. */
  check(world: World): void {
    for (const charge of this.#charges.values())
      if (timesOf(charge) > MOST_TIMES)
        world.violate(
          'bytes are paid for once',
          `${charge.version.etag} of ${charge.version.sizeBytes} bytes cost ${charge.fillBytes}, in ${charge.requests} requests`,
        );
  }

  #of(version: Version): Charge {
    const charge = this.#charges.get(version) ?? { version, fillBytes: 0, sparseBytes: 0, requests: 0 };
    this.#charges.set(version, charge);
    return charge;
  }
}

/** Blocks of sparse reads have a bound of their own, in each chunk. */
function timesOf({ version, fillBytes }: Charge): number {
  return fillBytes / version.sizeBytes;
}
