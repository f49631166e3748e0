import { describe, expect, test } from 'vitest';
import { compileRules, readRules } from '#hack/lint/prose-rules.ts';
import { textBlocks } from '#hack/lint/text.ts';

const { rules, allow } = readRules();

const STANDARD_TERMS = `Singleflight with request coalescing and deduplication prevents a cache stampede. A circuit breaker,
  backpressure, a semaphore and a rate limit protect the origin. Read-ahead raises the cache hit ratio; eviction, admission
  and scan resistance bound memory. Requests are idempotent and run at most once. Leader election uses a lease. Graceful
  shutdown drains connections. Failover and fallback use cluster membership by rendezvous hashing: a replica or the
  coordinator. Stale-while-revalidate, path traversal, nonce, replay, slab and segment pool, zero-copy, watermarks.`;

describe('prose rules', () => {
  describe.for(rules)('$id', (rule) => {
    const find = compileRules([rule]);
    const kind = rule.in?.[0] ?? 'comment';

    test.for(rule.catches)('catches %s', (text) => {
      const [block = { kind, line: 1, text }] =
        kind === 'name' && !text.includes(' ') ? textBlocks('a.ts', `${text}();`) : [];
      expect([block, { kind: 'comment' as const, line: 1, text }].flatMap(find)).not.toEqual([]);
    });

    test.for(rule.passes)('passes %s', (text) => {
      const blocks =
        kind === 'name' && !text.includes(' ') ? textBlocks('a.ts', `${text}();`) : [{ kind, line: 1, text }];
      expect(blocks.flatMap(find)).toEqual([]);
    });

    test('has examples and a remedy', () => {
      expect([rule.catches.length, rule.passes.length, rule.instead.length].every((size) => size > 0)).toBe(true);
    });
  });

  test('pass the standard terms of the field', () => {
    expect(compileRules(rules)({ kind: 'markdown', line: 1, text: STANDARD_TERMS })).toEqual([]);
  });

  test('have different ids', () => {
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  });

  test('are accepted exceptions only with a reason', () => {
    expect(allow.filter(({ reason, rule }) => !reason || !rules.some(({ id }) => id === rule))).toEqual([]);
  });

  test('match across a line break and report the line of the match', () => {
    const [finding] = compileRules(rules)({ kind: 'comment', line: 7, text: 'First line,\nread once\nmore.' });
    expect(finding).toMatchObject({ line: 8, match: 'once more' });
  });
});

describe('text of a file', () => {
  test('contains the comments, strings and identifiers of a TypeScript file', () => {
    const source = `import { a } from 'not text';\n// One,\n// two.\nconst readerPace = \`three \${a} four\`;\n/** Five\n * six. */\ntest('seven eight', f);`;
    expect(textBlocks('a.ts', source).filter(({ text }) => text.length > 4)).toEqual([
      { kind: 'string', line: 4, text: 'three … four' },
      { kind: 'string', line: 7, text: 'seven eight' },
      { kind: 'name', line: 4, text: 'reader pace' },
      { kind: 'comment', line: 2, text: 'One,\ntwo.' },
      { kind: 'comment', line: 5, text: 'Five\nsix.' },
    ]);
  });

  test('contains the paragraphs and cells of a page, and the comments in its code', () => {
    const page = '# Title\n\nOne `code`\ntwo.\n- Item\n\n| a | b |\n\n```sh\nelse # why\n```\n';
    expect(textBlocks('a.md', page)).toEqual([
      { kind: 'markdown', line: 1, text: 'Title' },
      { kind: 'markdown', line: 3, text: 'One …\ntwo.' },
      { kind: 'markdown', line: 5, text: 'Item' },
      { kind: 'markdown', line: 7, text: 'a' },
      { kind: 'markdown', line: 7, text: 'b' },
      { kind: 'comment', line: 10, text: 'why' },
    ]);
  });

  test('contains the comments, messages and heredocs of a shell script', () => {
    const script = `#!/bin/sh\n# shellcheck shell=sh\n# One\n# two.\ndie "three four five" # six\ncat <<'END'\nseven eight nine\nEND\n`;
    expect(textBlocks('run', script)).toEqual([
      { kind: 'comment', line: 3, text: 'One\ntwo.' },
      { kind: 'comment', line: 5, text: 'six' },
      { kind: 'string', line: 5, text: 'three four five' },
      { kind: 'string', line: 7, text: 'seven eight nine' },
    ]);
  });
});
