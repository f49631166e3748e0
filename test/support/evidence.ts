/**
 * The output of processes under test, and every secret they were given: kept in files when `hack/test` sets the folder. It
 * then searches the output for the secrets (hack/search-secrets.ts). Without a folder nothing is kept.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse } from 'yaml';

const DIRECTORY = process.env['ORCACACHE_TEST_EVIDENCE'];
/** A shorter secret could be in any text by chance. */
const MIN_SECRET_BYTES = 8;
/** Files of mounted Secrets that are public. */
const PUBLIC_FILES = new Set(['access-key-id', 'tls.crt', 'ca.crt', 'namespace']);
/** The names in `keys.yaml` whose values are secret. */
const SECRET_NAMES = new Set(['secretAccessKey', 'sessionToken', 'token']);

/** Whether output at level debug is kept. */
export const keepsEvidence = DIRECTORY !== undefined;

/** The source of the output; each text is kept under that name. */
export function keepSaid(who: string): (text: string) => void {
  if (DIRECTORY === undefined) return () => {};
  const folder = join(DIRECTORY, 'output');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${who.replaceAll(/[^\w.-]/g, '_')}-${randomUUID().slice(0, 8)}.log`);
  return (text) => appendFileSync(path, text.endsWith('\n') ? text : `${text}\n`);
}

/** A failure prints `name` instead of the secret. Each line of a PEM text counts as a secret. */
export function noteSecret(name: string, secret: string | Uint8Array): void {
  if (DIRECTORY === undefined) return;
  const bytes = Buffer.from(secret as string);
  const text = bytes.toString('utf8');
  const parts = text.startsWith('-----BEGIN ')
    ? text
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('-----'))
        .map((line) => Buffer.from(line))
    : [bytes];
  const folder = join(DIRECTORY, 'secrets');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lines = parts
    .filter(({ length }) => length >= MIN_SECRET_BYTES)
    .map((part) => `${JSON.stringify({ name, base64: part.toString('base64') })}\n`);
  appendFileSync(join(folder, `${process.pid}.jsonl`), lines.join(''), { mode: 0o600 });
}

/** One entry of a mounted Secret. */
export function noteSecretFile(where: string, file: string, content: string | Uint8Array): void {
  const name = `${where}/${file}`;
  if (PUBLIC_FILES.has(file) || file.startsWith('..')) return;
  if (!file.endsWith('.yaml')) noteSecret(name, content);
  else for (const secret of secretsIn(Buffer.from(content as string).toString('utf8'))) noteSecret(name, secret);
}

/** All files of a directory in the layout of a mounted Secret. */
export async function noteSecretDirectory(directory: string): Promise<void> {
  if (DIRECTORY === undefined) return;
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    // A test may have removed the directory before its replicas.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries)
    if (entry.isFile()) noteSecretFile(basename(directory), entry.name, await readFile(join(directory, entry.name)));
}

/** Empty for a file that a test has made invalid. */
function secretsIn(yaml: string): string[] {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (SECRET_NAMES.has(name) && typeof member === 'string') found.push(member);
      else walk(member);
    }
  };
  try {
    walk(parse(yaml, { logLevel: 'error' }) as unknown);
  } catch (error) {
    if (!(error instanceof Error) || !error.name.startsWith('YAML')) throw error;
  }
  return found;
}
