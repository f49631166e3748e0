/** What a run, or one object of it, has done. */

export interface Tally {
  objects: number;
  done: number;
  failed: number;
  totalBytes: number;
  doneBytes: number;
  originBytes: number;
  storedBytes: number;
}

export const TALLY_FIELDS = [
  'objects',
  'done',
  'failed',
  'totalBytes',
  'doneBytes',
  'originBytes',
  'storedBytes',
] as const satisfies readonly (keyof Tally)[];

export function emptyTally(): Tally {
  return { objects: 0, done: 0, failed: 0, totalBytes: 0, doneBytes: 0, originBytes: 0, storedBytes: 0 };
}

export function addTally(into: Tally, added: Readonly<Tally>): void {
  for (const field of TALLY_FIELDS) into[field] += added[field];
}
