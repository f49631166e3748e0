/** The command line of a release: the npm package, and an archive with an executable for each platform. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { buildExecutable } from './executable.ts';
import { licensesOf, nodeLicense } from './licenses.ts';
import { packNpm } from './npm-package.ts';
import { fileEntry, tarOf, textFile } from './tar.ts';
import { writeGzip } from './write.ts';

export interface ExecutablesOptions {
  readonly root: string;
  readonly version: string;
  readonly epochSeconds: number;
  readonly out: string;
  /** A folder for what is not published. */
  readonly scratch: string;
  /** `linux-x64` → its Node.js. */
  readonly nodes: ReadonlyMap<string, string>;
}

/** Resolves with the names of the files. */
export async function writeExecutables(options: ExecutablesOptions): Promise<string[]> {
  const { root, version, epochSeconds, out, scratch, nodes } = options;
  const { code, modules } = await bundle(join(root, 'cache/cli/main.ts'), version);
  const license = await readFile(join(root, 'LICENSE'), 'utf8');
  const thirdParty = licensesOf(modules);
  await packNpm({ code, license, thirdParty, folder: out, version });
  const files = [`kubectl-orca-${version}.tgz`];
  for (const [platform, node] of nodes) {
    const program = platform.startsWith('windows-') ? 'kubectl-orca.exe' : 'kubectl-orca';
    const output = join(scratch, platform, program);
    await mkdir(join(scratch, platform), { recursive: true });
    await buildExecutable({ code, node, output });
    const entries = [
      fileEntry(program, output, 0o755),
      textFile('LICENSES.txt', [license, thirdParty, nodeLicense()].join('\n')),
    ];
    const name = `kubectl-orca-${version}-${platform}.tar.gz`;
    await writeGzip(tarOf(entries, epochSeconds), join(out, name));
    await rm(join(scratch, platform), { recursive: true });
    files.push(name);
  }
  return files;
}

export async function writeSums(out: string, sums: ReadonlyMap<string, string>): Promise<string> {
  const lines = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, sha256]) => `${sha256}  ${name}\n`);
  await writeFile(join(out, 'SHA256SUMS'), lines.join(''));
  return lines.join('');
}
