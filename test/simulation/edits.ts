/** Text to find in a source file, exactly once, and text to put there instead. */
import { fileURLToPath } from 'node:url';

export interface Edit {
  readonly file: string;
  readonly search: string;
  readonly replace: string;
}

/** With a slash at its end. */
export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** Where a mutant's process finds its edits, as JSON. */
export const EDITS_VARIABLE = 'SIMULATION_EDITS';

export function edited(text: string, { file, search, replace }: Edit): string {
  const found = text.split(search).length - 1;
  if (found !== 1) throw new Error(`${file} holds ${found} times what a mutation replaces: ${search}`);
  return text.replace(search, () => replace);
}
