/** The licenses of the libraries that a bundle contains: most of them require their text to be passed on. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

const NODE_MODULES = `${sep}node_modules${sep}`;
const LICENSE_FILE = /^(lic|copying|notice)[^/]*$/i;

interface PackageFile {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** `modules`: the files of the bundle. */
export function licensesOf(modules: readonly string[]): string {
  const folders = new Set(modules.map(packageFolder).filter((folder) => folder !== undefined));
  const texts = [...folders].map(describe).toSorted();
  return ['This program contains the following libraries.\n', ...texts].join(`\n${'-'.repeat(80)}\n\n`);
}

/** The folder of the innermost package; undefined for a file of this repository, and for what the bundler adds. */
function packageFolder(module: string): string | undefined {
  const at = module.lastIndexOf(NODE_MODULES);
  if (at === -1) return undefined;
  const root = module.slice(0, at + NODE_MODULES.length);
  const [scope = '', name = ''] = module.slice(root.length).split(sep);
  return join(root, scope.startsWith('@') ? join(scope, name) : scope);
}

function describe(folder: string): string {
  const { name, version, license = 'see below' } = readPackage(folder);
  const files = readdirSync(folder).filter((file) => LICENSE_FILE.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
}

function readPackage(folder: string): PackageFile {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile;
}

/** The license of Node.js itself, of the version that an executable contains. Packages have it beside `bin`. */
export function nodeLicense(): string {
  return readFileSync(join(dirname(dirname(process.execPath)), 'LICENSE'), 'utf8');
}
