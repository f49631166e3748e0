/** Finds the natural language in a file: comments, string literals, Markdown paragraphs, and the words of identifiers. */
import { extname } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export type TextKind = 'comment' | 'string' | 'markdown' | 'name';

/** `text` may span lines; the first is line `line` of the file, counted from 1. */
export interface TextBlock {
  readonly kind: TextKind;
  readonly line: number;
  readonly text: string;
}

/** Stands for code inside text, such as an interpolation or a code span. */
const CODE = '…';

/** The tests of the simulation hold pieces of code as strings. */
const CODE_IN_STRING = /;\s*$|;\n|=>|\) \{|\bconst /;

export function textBlocks(path: string, source: string): TextBlock[] {
  switch (extname(path)) {
    case '.ts':
    case '.mjs':
      return scriptBlocks(path, source);
    case '.md':
      return markdownBlocks(source);
    case '.go':
      return lineBlocks(source, '//');
    case '.yaml':
    case '.tpl':
      return lineBlocks(source, '#', yamlText);
    case '.txt':
      return lineBlocks(source, '\u0000', (line) => [line]);
    case '.json':
      return lineBlocks(source, '\u0000', quotedText);
    default:
      return lineBlocks(source, '#', shellText());
  }
}

function scriptBlocks(path: string, source: string): TextBlock[] {
  const { program, comments, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const lineAt = lineCounter(source);
  const skipped = new Set<number>();
  const blocks: TextBlock[] = [];
  const names = new Map<string, number>();
  const addString = (start: number, text: string): void => {
    // A string without a space is a code, a path or a key.
    if (!skipped.has(start) && /\S\s+\S/.test(text) && !CODE_IN_STRING.test(text))
      blocks.push({ kind: 'string', line: lineAt(start), text });
  };
  const addName = (name: string, start: number): void => {
    if (!names.has(name)) names.set(name, lineAt(start));
  };
  new Visitor({
    ImportDeclaration: (node) => void skipped.add(node.source.start),
    Literal: (node) => {
      if (typeof node.value === 'string') addString(node.start, node.value);
    },
    TemplateLiteral: (node) => addString(node.start, node.quasis.map((part) => part.value.cooked).join(CODE)),
    Identifier: (node) => addName(node.name, node.start),
    PrivateIdentifier: (node) => addName(node.name, node.start),
  }).visit(program);
  for (const [name, line] of names) blocks.push({ kind: 'name', line, text: splitName(name) });
  return [...blocks, ...commentBlocks(source, comments, lineAt)];
}

/** Line comments that follow each other without code between them are one block. */
function commentBlocks(
  source: string,
  comments: readonly { type: string; value: string; start: number; end: number }[],
  lineAt: (offset: number) => number,
): TextBlock[] {
  const blocks: { kind: 'comment'; line: number; text: string }[] = [];
  let previousEnd = -1;
  for (const { type, value, start, end } of comments) {
    const isContinued =
      type === 'Line' && previousEnd >= 0 && /^[ \t]*\n[ \t]*$/.test(source.slice(previousEnd, start));
    const text = type === 'Line' ? value.trim() : value.replaceAll(/^[ \t]*\*+[ \t]?/gm, '').trim();
    if (isContinued) blocks.at(-1)!.text += `\n${text}`;
    else blocks.push({ kind: 'comment', line: lineAt(start), text: withoutCodeSpans(text) });
    previousEnd = type === 'Line' ? end : -1;
  }
  return blocks.map((block) => ({ ...block, text: withoutCodeSpans(block.text) }));
}

/** Paragraphs, list items, table cells and headings; of fenced code the `#` comments. */
function markdownBlocks(source: string): TextBlock[] {
  const blocks: TextBlock[] = [];
  let paragraph: string[] = [];
  let start = 0;
  let inFence = false;
  const flush = (): void => {
    if (paragraph.length > 0)
      blocks.push({ kind: 'markdown', line: start, text: withoutCodeSpans(paragraph.join('\n')) });
    paragraph = [];
  };
  for (const [index, line] of source.split('\n').entries()) {
    const body = line.trim();
    if (body.startsWith('```')) {
      flush();
      inFence = !inFence;
    } else if (inFence) {
      const comment = /(?:^|\s)# (.*)$/.exec(body)?.[1];
      if (comment !== undefined) blocks.push({ kind: 'comment', line: index + 1, text: comment });
    } else if (body === '') {
      flush();
    } else if (body.startsWith('|')) {
      flush();
      for (const cell of withoutCodeSpans(body).split('|')) {
        if (cell.trim() !== '') blocks.push({ kind: 'markdown', line: index + 1, text: cell.trim() });
      }
    } else {
      if (/^(#+|[-*>]|\d+\.) /.test(body)) flush();
      if (paragraph.length === 0) start = index + 1;
      paragraph.push(body.replace(/^(#+|[-*>]|\d+\.) /, '').replaceAll(/\]\([^)]*\)/g, ']'));
      if (body.startsWith('#')) flush();
    }
  }
  flush();
  return blocks;
}

/** Comments that begin with `mark`, consecutive ones as one block, and what `textOf` finds on the other lines. */
function lineBlocks(source: string, mark: string, textOf: (line: string) => string[] = quotedText): TextBlock[] {
  const blocks: TextBlock[] = [];
  let comment: string[] = [];
  let start = 0;
  const flush = (): void => {
    if (comment.length > 0) blocks.push({ kind: 'comment', line: start, text: withoutCodeSpans(comment.join('\n')) });
    comment = [];
  };
  for (const [index, line] of source.split('\n').entries()) {
    const body = line.trim();
    const text = body.startsWith(mark) ? body.slice(mark.length).replace(/^#* ?(?:-- )?/, '') : undefined;
    if (text !== undefined && !/^!|^shellcheck |^cspell:/.test(text)) {
      if (comment.length === 0) start = index + 1;
      comment.push(text);
      continue;
    }
    flush();
    if (text !== undefined) continue;
    const trailing = mark === '#' || mark === '//' ? body.lastIndexOf(` ${mark} `) : -1;
    if (trailing > 0) {
      blocks.push({ kind: 'comment', line: index + 1, text: withoutCodeSpans(body.slice(trailing + mark.length + 2)) });
    }
    const code = trailing > 0 ? body.slice(0, trailing) : body;
    for (const found of textOf(code)) if (isProse(found)) blocks.push({ kind: 'string', line: index + 1, text: found });
  }
  flush();
  return blocks;
}

const isProse = (text: string): boolean => (text.match(/[A-Za-z]{2,}/g) ?? []).length > 2;

const quotedText = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|`([^`]*)`/g)].map(
    ([, double, single, back]) => double ?? single ?? back ?? '',
  );

/** A scalar after its key, a list item, or a line of a block scalar; templates are code. */
const yamlText = (line: string): string[] => [
  line.replace(/^(?:- )?(?:[\w./-]+:\s)?\s*["'|>]?/, '').replaceAll(/\{\{.*?\}\}/g, CODE),
];

/** Quoted strings, and whole lines inside a heredoc. */
function shellText(): (line: string) => string[] {
  let end: string | undefined;
  return (line) => {
    if (end !== undefined) {
      if (line !== end) return [line];
      end = undefined;
      return [];
    }
    end = /<<-?'?([A-Z]+)'?/.exec(line)?.[1];
    return quotedText(line);
  };
}

const withoutCodeSpans = (text: string): string => text.replaceAll(/`[^`\n]*`/g, CODE);

/** Splits `readAhead`, `read_ahead` and `READ_AHEAD` into the same two words. */
const splitName = (name: string): string =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[_$]+/g, ' ')
    .trim()
    .toLowerCase();

function lineCounter(source: string): (offset: number) => number {
  const starts = [0];
  for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
