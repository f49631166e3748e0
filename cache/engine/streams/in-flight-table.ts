/**
 * Request coalescing for streams (fills, cachestore loads, streams from peers): the streams in flight, by key. A caller
 * looks one up, joins it or adds a new one in one turn of the event loop, so concurrent requests share one stream.
 */
export class InFlightTable<K, T> {
  readonly #streams = new Map<K, T[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The first stream of `key`, of those that `accepts` accepts; a key may have more than one. */
  find(key: K, accepts?: (stream: T) => boolean): T | undefined {
    // Usually no stream is in flight, and a look-up would hash the key.
    if (this.#count === 0) return undefined;
    const streams = this.#streams.get(key);
    return accepts === undefined ? streams?.[0] : streams?.find(accepts);
  }

  add(key: K, stream: T): void {
    const streams = this.#streams.get(key);
    if (streams === undefined) this.#streams.set(key, [stream]);
    else streams.push(stream);
    this.#count++;
  }

  /** False if it was removed before. */
  remove(key: K, stream: T): boolean {
    const streams = this.#streams.get(key);
    const at = streams?.indexOf(stream) ?? -1;
    if (streams === undefined || at < 0) return false;
    streams.splice(at, 1);
    if (streams.length === 0) this.#streams.delete(key);
    this.#count--;
    return true;
  }

  *values(): Generator<T, void, void> {
    for (const streams of this.#streams.values()) yield* streams;
  }
}
