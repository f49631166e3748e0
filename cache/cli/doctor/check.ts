/** One thing that is known to go wrong, and how to see it in what a cache and its pods report. */
import type { CacheReport } from '#cache/cli/replies/gather.ts';

export interface Trouble {
  /** `error`: clients notice, or will. `warning`: it costs something, or may. */
  readonly level: 'error' | 'warning';
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

export interface Check {
  /** Stable: scripts may select by it. */
  readonly id: string;
  readonly title: string;
  /** Undefined = what it looks at is not reported. Empty = all is well. */
  run(report: CacheReport): readonly Trouble[] | undefined;
}

export interface CheckResult {
  readonly check: Check;
  readonly troubles: readonly Trouble[] | undefined;
}

export function error(message: string, remedy: string): Trouble {
  return { level: 'error', message, remedy };
}

export function warning(message: string, remedy: string): Trouble {
  return { level: 'warning', message, remedy };
}

/** `3 pods (a, b, c)`; of many only some. */
export function named(names: readonly string[], noun = 'pod'): string {
  const unique = [...new Set(names)].toSorted();
  const shown = unique.slice(0, 3).join(', ');
  if (unique.length === 1) return `${noun} ${shown}`;
  return `${unique.length} ${noun}s (${shown}${unique.length > 3 ? ', …' : ''})`;
}

/** By the text that `textOf` returns, the names for which it did; undefined is left out. */
export function grouped<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  textOf: (item: T) => string | undefined,
): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const item of items) {
    const text = textOf(item);
    if (text !== undefined) groups.set(text, [...(groups.get(text) ?? []), nameOf(item)]);
  }
  return groups;
}
