/**
 * Globs below a prefix, with the results of Node's `path.posix.matchesGlob` for `*`, `?`, `[…]`, `{a,b}` and `**`. That
 * function expands braces without a limit and backtracks exponentially, so that a pattern of 256 characters could stop the
 * event loop. Here a match takes at most the pattern's length times the key's.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** More than a person writes; each is matched against every key. */
export const MAX_ALTERNATIVES = 64;

type Token = { readonly kind: 'star' } | { readonly kind: 'one'; readonly accepts: (char: string) => boolean };
/** `**`: any number of segments. */
const GLOBSTAR = 'globstar';
type Segment = typeof GLOBSTAR | readonly Token[];

/** Whether a name is included and not excluded. No pattern includes everything. Throws `invalid_argument`. */
export function compileGlobs(include: readonly string[], exclude: readonly string[]): (name: string) => boolean {
  if (include.length === 0 && exclude.length === 0) return () => true;
  const included = include.map(compileGlob);
  const excluded = exclude.map(compileGlob);
  return (name) => {
    const segments = segmentsOf(name);
    const matches = (glob: (segments: readonly string[]) => boolean): boolean => glob(segments);
    return (included.length === 0 || included.some(matches)) && !excluded.some(matches);
  };
}

function compileGlob(pattern: string): (segments: readonly string[]) => boolean {
  const alternatives = expandBraces(pattern);
  if (alternatives === undefined)
    throw new OrcaError('invalid_argument', `the glob ${pattern} has more than ${MAX_ALTERNATIVES} alternatives`);
  const compiled = alternatives.map((alternative) =>
    // At the end, `**` needs a segment.
    segmentsOf(/(?:^|\/)\*\*$/.test(alternative) ? `${alternative}/*` : alternative).map(compileSegment),
  );
  return (segments) => compiled.some((glob) => matchPath(glob, segments));
}

/** Repeated slashes count as one. */
function segmentsOf(name: string): string[] {
  return name.split(/\/+/);
}

/** Every alternative of `{a,b}`, also nested; undefined if there are too many. Braces without a comma are literal. */
function expandBraces(pattern: string): string[] | undefined {
  const done: string[] = [];
  const open = [pattern];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const braces = firstBraces(next);
    if (braces === undefined) done.push(next);
    else for (const option of braces.options) open.push(next.slice(0, braces.from) + option + next.slice(braces.to));
    if (done.length + open.length > MAX_ALTERNATIVES) return undefined;
  }
  return done;
}

interface Braces {
  readonly from: number;
  readonly to: number;
  readonly options: readonly string[];
}

/** The first pair of braces with a comma between them. */
function firstBraces(pattern: string): Braces | undefined {
  for (let from = pattern.indexOf('{'); from !== -1; from = pattern.indexOf('{', from + 1)) {
    const found = bracesAt(pattern, from);
    if (found !== undefined) return found;
  }
  return undefined;
}

function bracesAt(pattern: string, from: number): Braces | undefined {
  const options: string[] = [];
  let depth = 0;
  let start = from + 1;
  for (let at = from; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === '\\') at += 1;
    else if (char === '{') depth += 1;
    else if (char === ',' && depth === 1) {
      options.push(pattern.slice(start, at));
      start = at + 1;
    } else if (char === '}' && --depth === 0) {
      if (options.length === 0) return undefined;
      return { from, to: at + 1, options: [...options, pattern.slice(start, at)] };
    }
  }
  return undefined;
}

function compileSegment(text: string): Segment {
  if (text === '**') return GLOBSTAR;
  const tokens: Token[] = [];
  const chars = Array.from(text);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    const set = char === '[' ? setAt(chars, at) : undefined;
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
    } else if (char === '?') tokens.push({ kind: 'one', accepts: () => true });
    else if (set !== undefined) {
      tokens.push({ kind: 'one', accepts: set.accepts });
      at = set.end;
    } else {
      const literal = char === '\\' && at + 1 < chars.length ? chars[++at] : char;
      tokens.push({ kind: 'one', accepts: (other) => other === literal });
    }
  }
  // A lone star needs a character.
  if (tokens.length === 1 && tokens[0]?.kind === 'star') tokens.push({ kind: 'one', accepts: () => true });
  return withoutHidden(text, tokens);
}

/** A segment that begins with a dot is matched only by a pattern that does. */
function withoutHidden(text: string, tokens: readonly Token[]): readonly Token[] {
  return /^[*?[]/.test(text) ? [NOT_A_DOT, ...tokens] : tokens;
}

/** Consumes nothing: the segment must not begin with a dot. */
const NOT_A_DOT: Token = { kind: 'one', accepts: (char) => char !== '.' };

/** `[abc]`, `[a-z]`, `[!a]`; undefined if it does not end. */
function setAt(
  chars: readonly string[],
  from: number,
): { readonly end: number; readonly accepts: (char: string) => boolean } | undefined {
  const isNegated = chars[from + 1] === '!' || chars[from + 1] === '^';
  const first = from + (isNegated ? 2 : 1);
  const end = chars.indexOf(']', first + 1);
  if (end === -1) return undefined;
  const ranges: (readonly [string, string])[] = [];
  for (let at = first; at < end; at++) {
    const isRange = chars[at + 1] === '-' && at + 2 < end;
    ranges.push([chars[at] ?? '', chars[isRange ? at + 2 : at] ?? '']);
    if (isRange) at += 2;
  }
  return { end, accepts: (char) => ranges.some(([low, high]) => char >= low && char <= high) !== isNegated };
}

/** With one place to return to, the last `**`: an earlier one can match no more than the last one leaves to it. */
function matchPath(glob: readonly Segment[], segments: readonly string[]): boolean {
  let [at, position, star, starPosition] = [0, 0, -1, 0];
  while (position < segments.length) {
    const pattern = glob[at];
    const segment = segments[position] ?? '';
    if (pattern === GLOBSTAR) {
      [star, starPosition] = [at, position];
      at += 1;
    } else if (pattern !== undefined && matchSegment(pattern, segment)) {
      at += 1;
      position += 1;
    } else if (star !== -1 && !(segments[starPosition] ?? '').startsWith('.')) {
      starPosition += 1;
      [at, position] = [star + 1, starPosition];
    } else return false;
  }
  return at === glob.length;
}

/** The same with `*` and the characters of one segment. */
function matchSegment(pattern: readonly Token[], segment: string): boolean {
  const isHidden = pattern[0] === NOT_A_DOT;
  if (isHidden && segment.startsWith('.')) return false;
  const tokens = isHidden ? pattern.slice(1) : pattern;
  const chars = Array.from(segment);
  let [at, position, star, starPosition] = [0, 0, -1, 0];
  while (position < chars.length) {
    const token = tokens[at];
    if (token?.kind === 'star') {
      [star, starPosition] = [at, position];
      at += 1;
    } else if (token !== undefined && token.accepts(chars[position] ?? '')) {
      at += 1;
      position += 1;
    } else if (star !== -1) {
      starPosition += 1;
      [at, position] = [star + 1, starPosition];
    } else return false;
  }
  while (tokens[at]?.kind === 'star') at += 1;
  return at === tokens.length;
}
