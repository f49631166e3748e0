/** Everything that is wrong with a configuration at once: one line a mistake, each beginning with its path. */
import type { Document, LineCounter } from 'yaml';
import { formatPath } from '#crds/validate.ts';
import type { Problem } from '#crds/validate.ts';

export class ConfigError extends Error {
  /** One line each. */
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[], options: { readonly cause?: unknown } = {}) {
    super(mistakes.join('\n'), options);
    this.name = 'ConfigError';
    this.mistakes = mistakes;
  }
}

/** A YAML text with where its lines begin. */
export interface SourceFile {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

/** `origin.buckets[1].name: is required (line 12)`; the line is that of the nearest thing that is there. */
export function formatMistake({ path, message }: Problem, { document, lines }: SourceFile): string {
  const where = path.length === 0 ? '' : `${formatPath(path)}: `;
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { readonly range?: readonly number[] } | undefined;
    const start = node?.range?.[0];
    if (start !== undefined) return `${where}${message} (line ${lines.linePos(start).line})`;
  }
  return `${where}${message}`;
}
