/**
 * Builds what is published of the command line. `hack/release` calls it with the Node.js of each platform:
 *
 *   node hack/release.d/main.ts --out DIR [--node PLATFORM=FILE…]
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';
import { buildExecutable } from './executable.ts';
import { licensesOf, nodeLicense } from './licenses.ts';
import { packNpm } from './npm-package.ts';

const ROOT = join(import.meta.dirname, '../..');
const MIB = 1024 * 1024;

const { values } = parseArgs({
  options: { out: { type: 'string' }, node: { type: 'string', multiple: true, default: [] } },
});
if (values.out === undefined) throw new Error('usage: node hack/release.d/main.ts --out DIR [--node PLATFORM=FILE…]');
await release(values.out, values.node.map(parsePlatform));

interface Platform {
  /** `linux-x64`, `windows-x64`, … */
  readonly name: string;
  readonly node: string;
}

function parsePlatform(text: string): Platform {
  const [name = '', node = ''] = text.split('=');
  if (name === '' || node === '') throw new Error(`--node ${text}: not PLATFORM=FILE`);
  return { name, node };
}

async function release(out: string, platforms: readonly Platform[]): Promise<void> {
  const { code, modules } = await bundle(join(ROOT, 'cache/cli/main.ts'));
  const license = await readFile(join(ROOT, 'LICENSE'), 'utf8');
  const thirdParty = licensesOf(modules);
  await mkdir(out, { recursive: true });
  const files = [await packNpm({ code, license, thirdParty, folder: out })];
  await report(files[0]!);
  for (const { name, node } of platforms) {
    const output = join(out, name, name.startsWith('windows-') ? 'kubectl-orca.exe' : 'kubectl-orca');
    await buildExecutable({ code, node, output });
    await writeFile(join(out, name, 'LICENSES.txt'), [license, thirdParty, nodeLicense()].join('\n'));
    files.push(output);
    await report(output);
  }
  const sums = await Promise.all(files.map(async (file) => `${await sha256(file)}  ${relative(out, file)}\n`));
  await writeFile(join(out, 'SHA256SUMS'), sums.join(''));
}

async function report(file: string): Promise<void> {
  const { size } = await stat(file);
  process.stdout.write(`wrote ${file} (${(size / MIB).toFixed(size < 10 * MIB ? 1 : 0)} MiB)\n`);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
