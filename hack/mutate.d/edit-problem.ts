import { readFileSync } from 'node:fs';
import { edited, REPOSITORY, type Edit } from '#test/simulation/edits.ts';

/** Why the edit cannot be applied: its file is missing, or does not contain its text exactly once. */
export function editProblem(edit: Edit): string | undefined {
  try {
    edited(readFileSync(REPOSITORY + edit.file, 'utf8'), edit);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
