/** Calls `work` for each item, in order, at most `maxConcurrent` at once. Rejects with the first failure. */
export async function forEachParallel<T>(
  items: Iterable<T>,
  maxConcurrent: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // The workers take their items from one iterator.
  const next = Iterator.from(items);
  const worker = async (): Promise<void> => {
    for (const item of next) await work(item);
  };
  await Promise.all(Array.from({ length: maxConcurrent }, worker));
}
