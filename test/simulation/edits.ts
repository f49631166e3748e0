/** A text that occurs exactly once in a source file, and its replacement. */
import { fileURLToPath } from 'node:url';

export interface Edit {
  readonly file: string;
  readonly search: string;
  readonly replace: string;
}

/** Ends with a slash. */
export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** The environment variable that contains a mutant's edits, as JSON. */
export const EDITS_VARIABLE = 'SIMULATION_EDITS';

export function edited(text: string, { file, search, replace }: Edit): string {
  const found = text.split(search).length - 1;
  if (found !== 1) throw new Error(`${file} holds ${found} times what a mutation replaces: ${search}`);
  return text.replace(search, () => replace);
}
