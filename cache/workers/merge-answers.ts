/** Merges what several workers return for the other paths of the ops API into the response of one replica. */
import type { describeChunks } from '#cache/http/ops/object-chunks.ts';
import type { topOf } from '#cache/http/ops/top.ts';

type Top = Awaited<ReturnType<typeof topOf>>;
type Chunks = Awaited<ReturnType<typeof describeChunks>>;
type List<T> = readonly [T, ...T[]];

/** As many slow requests as one worker shows. */
const MAX_SLOWEST = 10;

export function mergeTop(tops: List<Top>): Top {
  const [first] = tops;
  return {
    ...first,
    totals: sumOf(tops.map(({ totals }) => totals)),
    // A worker that was started again has seen less of it.
    windowMs: Math.max(...tops.map(({ windowMs }) => windowMs)),
    window: sumOf(tops.map(({ window }) => window)),
    slowest: tops
      .flatMap(({ slowest }) => slowest)
      .toSorted((a, b) => b.durationMs - a.durationMs)
      .slice(0, MAX_SLOWEST),
    now: sumOf(tops.map(({ now }) => now)),
  };
}

/** Where the bytes of an object are: in the memory of any worker. The first answer has what the cachestore has. */
export function mergeChunks([first, ...others]: List<Chunks>): Chunks {
  const isAnywhere = (path: string, field: 'inMemory' | 'filling'): boolean =>
    others.some(({ chunks }) => chunks.some((chunk) => chunk.path === path && chunk[field]));
  return {
    ...first,
    chunks: first.chunks.map((chunk) => ({
      ...chunk,
      inMemory: chunk.inMemory || isAnywhere(chunk.path, 'inMemory'),
      filling: chunk.filling || isAnywhere(chunk.path, 'filling'),
    })),
  };
}

/** Each worker knows the reads of the shards that it owns: the last one counts. */
export function mergeReads(answers: List<{ readonly lastReadMs: readonly (number | null)[] }>) {
  const latest = (at: number): number | null =>
    answers.reduce<number | null>((known, { lastReadMs }) => {
      const value = lastReadMs[at] ?? null;
      return known === null || (value !== null && value > known) ? value : known;
    }, null);
  return { lastReadMs: answers[0].lastReadMs.map((_, at) => latest(at)) };
}

/** Adds up the numbers at all depths. */
function sumOf<T extends object>(records: readonly T[]): T {
  const [first, ...others] = records;
  const sum = Object.entries(first ?? {}).map(([key, value]: [string, unknown]) => {
    const all = [value, ...others.map((other) => (other as Readonly<Record<string, unknown>>)[key])];
    if (typeof value === 'number') return [key, all.reduce<number>((total, one) => total + Number(one ?? 0), 0)];
    if (typeof value !== 'object' || value === null) return [key, value];
    return [key, sumOf(all.filter((one) => typeof one === 'object' && one !== null))];
  });
  return Object.fromEntries(sum) as T;
}
