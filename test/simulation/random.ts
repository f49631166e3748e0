/**
 * The source of every random choice of a run, derived from its seed: a small generator (xoshiro128**), and forks by name,
 * so that an additional choice in one place does not change the choices elsewhere.
 */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [from, to). */
  int(from: number, to: number): number;
  /** In [from, to), with a logarithmic distribution. */
  magnitude(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  fork(name: string): Random;
}

export function randomOf(seed: number, name = ''): Random {
  const state = new Uint32Array(4);
  let mixed = seed >>> 0;
  for (let at = 0; at < name.length; at++) mixed = scramble(mixed ^ name.charCodeAt(at));
  for (let at = 0; at < state.length; at++) {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    state[at] = scramble(mixed);
  }
  const bits = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const mixedC = c ^ a;
    const mixedD = d ^ b;
    state[1] = b ^ mixedC;
    state[0] = a ^ mixedD;
    state[2] = mixedC ^ (b << 9);
    state[3] = rotate(mixedD, 11);
    return result;
  };
  const next = (): number => bits() / 2 ** 32;
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from));
  return {
    next,
    int,
    magnitude: (from, to) => from * (to / from) ** next(),
    chance: (probability) => next() < probability,
    pick<T>(items: readonly T[]): T {
      return items[int(0, items.length)]!;
    },
    fork: (child) => randomOf(seed, `${name}/${child}`),
  };
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
