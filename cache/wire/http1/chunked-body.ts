/** A body with the chunked coding whose length is known in advance: one that is longer or shorter is an error. */
import { createChunkedDecoder } from './chunked-decoder.ts';
import { WireError } from './errors.ts';

export class ChunkedBody {
  readonly #decoder = createChunkedDecoder();
  #missingBytes: number;
  #isReusable = false;

  constructor(expectedBytes: number) {
    this.#missingBytes = expectedBytes;
  }

  push(bytes: Uint8Array, onData: (data: Uint8Array) => void): void {
    const taken = this.#decoder.push(bytes, (data) => {
      if (data.length > this.#missingBytes) throw new WireError('protocol', 'the chunked body is longer than expected');
      this.#missingBytes -= data.length;
      onData(data);
    });
    if (!this.#decoder.isComplete) return;
    if (this.#missingBytes > 0) throw new WireError('protocol', 'the chunked body is shorter than expected');
    this.#isReusable = taken === bytes.length;
  }

  get isComplete(): boolean {
    return this.#decoder.isComplete;
  }

  /** Nothing followed the body. */
  get isReusable(): boolean {
    return this.#isReusable;
  }
}
