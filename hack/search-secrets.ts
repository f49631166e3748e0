/**
 * Searches what processes under test have said for every secret that the tests have used, and writes a line to a
 * result file of `hack/test`: passed, or failed with the file and the secret's name, never the secret itself.
 *
 *   node hack/search-secrets.ts EVIDENCE_DIRECTORY RESULT_FILE [--must]
 *
 * EVIDENCE_DIRECTORY is test/support/evidence.ts's. With --must it is a failure that there was nothing to search.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSearcher, type Secret } from '#hack/test.d/needles.ts';

const [directory, resultFile, must] = process.argv.slice(2);
if (directory === undefined || resultFile === undefined)
  throw new Error('usage: node hack/search-secrets.ts EVIDENCE_DIRECTORY RESULT_FILE [--must]');

const secrets = new Map<string, Secret>();
for (const path of filesOf('secrets'))
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue;
    const { name, base64 } = JSON.parse(line) as { name: string; base64: string };
    secrets.set(base64, { name, bytes: Buffer.from(base64, 'base64') });
  }
const searcher = openSearcher([...secrets.values()]);
const failures: string[] = [];
const said = filesOf('said');
let saidBytes = 0;
for (const path of said) {
  const text = readFileSync(path);
  saidBytes += text.length;
  for (const name of searcher.search(text)) failures.push(`${name} stands in ${path.slice(directory.length + 1)}`);
}
const isVoid = said.length === 0 || secrets.size === 0;
const summary = `no secret in what was said (${secrets.size} secrets, ${said.length} files, ${Math.ceil(saidBytes / 2 ** 20)} MiB)`;
if (isVoid && must === '--must') failures.push(`there was nothing to search: ${summary}`);
if (failures.length > 0) {
  record(failures.map((failure) => `failed\t${failure}`));
  console.error(`FAILED  secrets in what was said:\n${failures.join('\n')}`);
} else if (!isVoid) {
  record([`passed\t${summary}`]);
  console.log(`ok      ${summary}`);
}

function filesOf(kind: string): string[] {
  try {
    return readdirSync(join(directory ?? '', kind)).map((name) => join(directory ?? '', kind, name));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function record(lines: readonly string[]): void {
  appendFileSync(resultFile ?? '', lines.map((line) => `${line}\n`).join(''));
}
