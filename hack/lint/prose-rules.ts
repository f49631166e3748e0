/** Reads hack/lint/prose.yaml and applies its rules to text. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { TextBlock, TextKind } from './text.ts';

export interface Rule {
  readonly id: string;
  readonly find: readonly string[];
  readonly at?: 'sentence' | 'text';
  readonly case?: boolean;
  readonly in?: readonly TextKind[];
  readonly instead: string;
  readonly catches: readonly string[];
  readonly passes: readonly string[];
}

/** Accepts what `rule` finds in a line of `path` that contains `text`. */
export interface Exception {
  readonly path: string;
  readonly rule: string;
  readonly text: string;
  readonly reason: string;
}

export interface Finding {
  readonly rule: Rule;
  readonly line: number;
  readonly match: string;
  /** The line with the match, to recognize it by. */
  readonly context: string;
}

const PROSE: readonly TextKind[] = ['comment', 'string', 'markdown'];

/** Precedes a sentence, or a clause after a colon or semicolon. */
const SENTENCE = String.raw`(?<=^[-*"'(…\s]*|[.!?:;]["')]*\s+(?:[-*]\s+)?|\n\s*\n\s*|[—–]\s|@\w+\s+(?:\w+\s+)?)`;
const TEXT = String.raw`(?<=^[-*\s]*|\n\s*\n\s*)`;

export function readRules(): { rules: Rule[]; allow: Exception[] } {
  return parse(readFileSync(join(import.meta.dirname, 'prose.yaml'), 'utf8')) as { rules: Rule[]; allow: Exception[] };
}

/** The returned function finds every match of every rule in a block of text. */
export function compileRules(rules: readonly Rule[]): (block: TextBlock) => Finding[] {
  const compiled = rules.map((rule) => ({
    rule,
    kinds: rule.in ?? PROSE,
    patterns: rule.find.map((find) => compile(rule, find)),
  }));
  return ({ kind, line, text }) =>
    compiled.flatMap(({ rule, kinds, patterns }) =>
      kinds.includes(kind)
        ? patterns.flatMap((pattern) =>
            [...text.matchAll(pattern)].map(({ 0: match, index }) => ({
              rule,
              line: line + (text.slice(0, index).match(/\n/g)?.length ?? 0),
              match: match.replaceAll(/\s+/g, ' '),
              context: lineAround(text, index),
            })),
          )
        : [],
    );
}

/** A space in a pattern matches a line break too: comments are wrapped. */
function compile({ at, case: isCaseSensitive }: Rule, find: string): RegExp {
  const spaced = find.replaceAll(/(?<!\[[^\]]*) /g, String.raw`\s+`);
  const anchor = at === undefined ? '' : at === 'sentence' ? SENTENCE : TEXT;
  return new RegExp(`${anchor}(?:${spaced})`, isCaseSensitive === true ? 'gu' : 'giu');
}

function lineAround(text: string, index: number): string {
  const end = text.indexOf('\n', index);
  return text.slice(text.lastIndexOf('\n', index - 1) + 1, end < 0 ? undefined : end).trim();
}
