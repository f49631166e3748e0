import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { rowFor } from '#cache/http/respond.ts';

const page = readFileSync('docs/reference/errors.md', 'utf8');
const source = readFileSync('cache/core/errors.ts', 'utf8');

/** The members of the union, in its order. */
const [, union = ''] = /export type ErrorCode =([\s\S]*?);\n/.exec(source) ?? [];
const codes = [...union.matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code = '']) => code as ErrorCode);

/** Code → the cells of its row. */
const rows = new Map(
  [...page.matchAll(/^\| `([a-z_]+)` \|(.*)\|$/gm)].map(([, code = '', cells = '']) => [
    code,
    cells.split('|').map((cell) => cell.trim()),
  ]),
);

describe('docs/reference/errors.md', () => {
  test('lists every error code once and no other', () => {
    expect(codes.length).toBeGreaterThan(30);
    const listed = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code = '']) => code);
    expect(listed.toSorted()).toEqual(codes.toSorted());
  });

  test.for(codes)('has the status, the S3 code and Retry-After of %s', (code) => {
    const { status, s3, retryAfterS } = rowFor(new OrcaError(code, ''));
    const [http, s3Code, retryAfter] = rows.get(code) ?? [];
    expect({ http, s3Code, retryAfter }).toEqual({
      http: String(status),
      s3Code: `\`${s3}\``,
      retryAfter: retryAfterS === undefined ? 'no' : String(retryAfterS),
    });
  });

  test.for(codes)('describes cause and remedy of %s', (code) => {
    const [, , , cause = '', remedy = ''] = rows.get(code) ?? [];
    expect(Math.min(cause.length, remedy.length)).toBeGreaterThan(3);
  });
});
