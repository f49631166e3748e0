/** All problems of a configuration at once: one line per problem, starting with its path. */
import type { Document, LineCounter } from 'yaml';
import { formatPath } from '#crds/validate.ts';
import type { Problem } from '#crds/validate.ts';

export class ConfigError extends Error {
  /** One line each. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options: { readonly cause?: unknown } = {}) {
    super(problems.join('\n'), options);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** A parsed YAML document, and the positions of its lines. */
export interface SourceFile {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

/** `origin.buckets[1].name: is required (line 12)`. A missing field has the line of its closest existing ancestor. */
export function formatProblem({ path, message }: Problem, { document, lines }: SourceFile): string {
  const where = path.length === 0 ? '' : `${formatPath(path)}: `;
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { readonly range?: readonly number[] } | undefined;
    const start = node?.range?.[0];
    if (start !== undefined) return `${where}${message} (line ${lines.linePos(start).line})`;
  }
  return `${where}${message}`;
}
