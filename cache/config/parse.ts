/** Parses YAML for the config file, the runtime file and `keys.yaml`: a single document without duplicate keys. */
import { LineCounter, parseDocument } from 'yaml';
import type { SourceFile } from './problems.ts';

export type Parsed =
  | { readonly ok: true; readonly value: unknown; readonly source: SourceFile }
  | { readonly ok: false; readonly problems: readonly string[] };

export function parseYaml(text: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // Otherwise the parser emits warnings on stderr that quote the text, which may be a file of keys.
    logLevel: 'error',
  });
  const errors = [...document.errors, ...document.warnings];
  if (errors.length > 0)
    return {
      ok: false,
      problems: errors.map(({ message, pos }) => `line ${lines.linePos(pos[0]).line}: ${message}`),
    };
  try {
    return { ok: true, value: document.toJS() as unknown, source: { document, lines } };
  } catch (error) {
    // Unresolved aliases, or so many that they would exhaust the memory.
    return { ok: false, problems: [error instanceof Error ? error.message : String(error)] };
  }
}
