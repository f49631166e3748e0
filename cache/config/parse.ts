/** YAML text to a value, for the config file and the runtime file alike: one document, no key twice. */
import { LineCounter, parseDocument } from 'yaml';
import type { SourceFile } from './mistakes.ts';

export type Parsed =
  | { readonly ok: true; readonly value: unknown; readonly source: SourceFile }
  | { readonly ok: false; readonly mistakes: readonly string[] };

export function parseYaml(text: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // It would tell the process' stderr what it finds odd, and quote it: a file of keys is all secrets.
    logLevel: 'error',
  });
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0)
    return {
      ok: false,
      mistakes: problems.map(({ message, pos }) => `line ${lines.linePos(pos[0]).line}: ${message}`),
    };
  try {
    return { ok: true, value: document.toJS() as unknown, source: { document, lines } };
  } catch (error) {
    // Aliases that point nowhere, or so many that they would fill the memory.
    return { ok: false, mistakes: [error instanceof Error ? error.message : String(error)] };
  }
}
