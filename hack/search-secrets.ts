/**
 * Searches the output of the processes under test for every secret that the tests have used. Writes a line to a result
 * file of `hack/test`: passed, or failed with the file and the name of the secret, but never the secret.
 *
 *   node hack/search-secrets.ts EVIDENCE_DIRECTORY RESULT_FILE [--must]
 *
 * test/support/evidence.ts writes EVIDENCE_DIRECTORY. With --must it is a failure if there is no output to search.
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
const outputs = filesOf('output');
let outputBytes = 0;
for (const path of outputs) {
  const text = readFileSync(path);
  outputBytes += text.length;
  for (const name of searcher.search(text)) failures.push(`${path.slice(directory.length + 1)} contains ${name}`);
}
const isEmpty = outputs.length === 0 || secrets.size === 0;
const summary = `no secret in the output (${secrets.size} secrets, ${outputs.length} files, ${Math.ceil(outputBytes / 2 ** 20)} MiB)`;
if (isEmpty && must === '--must') failures.push(`found no output or no secret to search for: ${summary}`);
if (failures.length > 0) {
  record(failures.map((failure) => `failed\t${failure}`));
  console.error(`FAILED  secrets in the output:\n${failures.join('\n')}`);
} else if (!isEmpty) {
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
