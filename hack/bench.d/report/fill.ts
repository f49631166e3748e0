/** Replaces the generated parts of a hand-written page. Pure. */

const BEGIN = /^<!-- begin ([\w-]+)(?::.*)? -->$/;
const END = /^<!-- end ([\w-]+) -->$/;

/** Throws if a part is unknown, not used or not ended. */
export function fillParts(page: string, parts: ReadonlyMap<string, string>): string {
  const lines: string[] = [];
  const left = new Set(parts.keys());
  let open: string | undefined;
  for (const line of page.split('\n')) {
    const ended = END.exec(line)?.[1];
    if (open === undefined || ended === open) lines.push(line);
    if (ended !== undefined && ended !== open) throw new Error(`<!-- end ${ended} --> has no begin`);
    if (ended !== undefined) open = undefined;
    const begun = BEGIN.exec(line)?.[1];
    if (begun === undefined) continue;
    if (open !== undefined) throw new Error(`<!-- begin ${begun} --> is inside of ${open}`);
    const content = parts.get(begun);
    if (content === undefined) throw new Error(`<!-- begin ${begun} -->: choose from ${[...parts.keys()].join(', ')}`);
    if (!left.delete(begun)) throw new Error(`<!-- begin ${begun} --> occurs twice`);
    lines.push('', content.trimEnd(), '');
    open = begun;
  }
  if (open !== undefined) throw new Error(`<!-- begin ${open} --> has no end`);
  if (left.size > 0) throw new Error(`the page has no place for ${[...left].join(', ')}`);
  return lines.join('\n');
}
