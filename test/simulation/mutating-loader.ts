/**
 * Loaded before a mutant's other modules (`node --import`). Applies the edits from the environment to sources as they are
 * loaded; no file is changed.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { edited, EDITS_VARIABLE, REPOSITORY, type Edit } from './edits.ts';

const edits = JSON.parse(process.env[EDITS_VARIABLE] ?? '[]') as readonly Edit[];
const byPath = Map.groupBy(edits, ({ file }) => REPOSITORY + file);

registerHooks({
  load(url, context, nextLoad) {
    const path = url.startsWith('file:') ? fileURLToPath(url) : url;
    const own = byPath.get(path);
    if (own === undefined) return nextLoad(url, context);
    return { format: 'module-typescript', source: own.reduce(edited, readFileSync(path, 'utf8')), shortCircuit: true };
  },
});
