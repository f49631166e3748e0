import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openSearcher } from '#hack/test.d/needles.ts';

const SECRET = 'pass"word/of+the=origin';
const BINARY = randomBytes(32);
const searcher = openSearcher([
  { name: 'the origin’s', bytes: Buffer.from(SECRET) },
  { name: 'the peers’', bytes: BINARY },
  { name: 'another', bytes: Buffer.from('never in the output') },
]);
const found = (text: string | Buffer): string[] => [...searcher.search(Buffer.from(text as string))];

describe('secret in the output is found', () => {
  test.for([
    ['verbatim', SECRET],
    ['at the very end', `x${SECRET}`],
    ['in a JSON log line', JSON.stringify({ level: 'info', message: `failed for ${SECRET}` })],
    ['in a URL', `http://host/?a=${encodeURIComponent(SECRET)}&b`],
    ['in base64', `authorization: Basic ${Buffer.from(SECRET).toString('base64')}`],
    ['in base64url', Buffer.from(SECRET).toString('base64url')],
    ['in hexadecimal', Buffer.from(SECRET).toString('hex')],
    ['in a large output', `${'pass"wor '.repeat(100_000)}${SECRET}${'x'.repeat(1_000)}`],
  ] as const)('%s', ([, text]) => {
    expect(found(text)).toEqual(['the origin’s']);
  });

  test('as binary data', () => {
    for (const text of [BINARY.toString('base64'), BINARY.toString('hex').toUpperCase()])
      expect(found(text)).toEqual(['the peers’']);
    expect(found(Buffer.concat([Buffer.from('x'), BINARY]))).toEqual(['the peers’']);
  });

  test.for([
    ['a private key', '-----BEGIN EC PRIVATE KEY-----'],
    ['the signature of a request', `AWS4-HMAC-SHA256 Credential=a, Signature=${'0a'.repeat(32)}`],
    ['the signature of a request', `/b/k?X-Amz-Signature=${'0a'.repeat(32)}`],
    ['a SAS signature', 'http://a/b?sv=1&sig=AbCdEfGhIjKlMnOpQrStUvWx%3D'],
    ['a bearer token', 'authorization: Bearer eyJhbGciOiJIUzI1NiJ9'],
    ['a session token in a URL', '?X-Amz-Security-Token=FwoGZXIvYXdzEBY'],
    ['a MAC between replicas', `"x-orca-mac":"${'A'.repeat(43)}"`],
  ] as const)('by its form: %s: %s', ([name, text]) => {
    expect(found(text)).toEqual([name]);
  });
});

test('finds nothing in text without secrets', () => {
  expect(found('')).toEqual([]);
  expect(found('pas')).toEqual([]);
  expect(found(SECRET.slice(0, -1))).toEqual([]);
  expect(found('X-Amz-Signature=[redacted]&sig=[redacted]&X-Amz-Security-Token=[redacted] Bearer of a token')).toEqual(
    [],
  );
});

describe('search of the output of a test run', () => {
  async function run(output: string, ...options: string[]): Promise<{ result: string; output: string }> {
    const directory = await mkdtemp(join(tmpdir(), 'orca-evidence-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    for (const kind of ['output', 'secrets']) await mkdir(join(directory, kind));
    const note = { name: 'the edge’s key', base64: Buffer.from(SECRET).toString('base64') };
    await writeFile(join(directory, 'secrets', '1.jsonl'), `${JSON.stringify(note)}\n`);
    if (output !== '') await writeFile(join(directory, 'output', 'replica.log'), output);
    const result = join(directory, 'result.tsv');
    await writeFile(result, '');
    const script = join(import.meta.dirname, '../../hack/search-secrets.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, directory, result, ...options]);
    return { result: await readFile(result, 'utf8'), output: stdout + stderr };
  }

  test('reports the file and the name of the secret, but not the secret', async () => {
    const { result, output } = await run(`{"message":"${SECRET.replace('"', '\\"')}"}`);
    expect(result).toBe('failed\toutput/replica.log contains the edge’s key\n');
    expect(output).toContain('the edge’s key');
    for (const text of [result, output]) expect(text).not.toContain(SECRET.slice(5));
  });

  test('passes without a secret, and reports how much was searched', async () => {
    expect((await run('all is well')).result).toBe('passed\tno secret in the output (1 secrets, 1 files, 1 MiB)\n');
  });

  test('fails without any output if --must is set', async () => {
    expect((await run('')).result).toBe('');
    expect((await run('', '--must')).result).toMatch(/^failed\tfound no output or no secret to search for/);
  });
});
