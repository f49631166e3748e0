/**
 * The layer under both programs: a few packages of Debian, and Node.js. Nothing of it is executed, so that any machine
 * builds it for any processor; what maintainer scripts would have done is here. `hack/release` calls it:
 *
 *   node hack/release.d/base-layer.ts --arch ARCH --debs DIR --node FILE --out DIR
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BaseDescription, DebianPackage } from './base-description.ts';
import { fileEntry, folder, tarOf, textFile, treeOf, type TarEntry } from './tar.ts';
import { sha256OfFile, writeGzip } from './write.ts';

/** No program in the container reads these. Copyright files are kept, as their licenses require. */
const UNNEEDED = [
  /^usr\/share\/doc\/[^/]+\/(?!copyright$)/,
  /^usr\/share\/(man|info|locale|lintian|bug|base-files|debconf|gcc|gdb)(\/|$)/,
  /^usr\/lib\/[^/]+\/gconv(\/|$)/,
  /^usr\/sbin(\/|$)/,
  /^usr\/share\/ca-certificates(\/|$)/,
  /^etc\/(update-motd\.d|ca-certificates)(\/|$)/,
];
const CERTIFICATES = 'usr/share/ca-certificates/mozilla';
/** The user of the pods has a name, because some libraries look it up. */
const PASSWD = `root:x:0:0:root:/root:/sbin/nologin
orca:x:10001:10001:OrcaCache:/nonexistent:/sbin/nologin
`;
const GROUPS = 'root:x:0:\norca:x:10001:\n';

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: '' },
      debs: { type: 'string', default: '' },
      node: { type: 'string', default: '' },
      out: { type: 'string', default: '' },
    },
  });
  await buildBaseLayer({ architecture: values.arch, debs: values.debs, node: values.node, out: values.out });
}

interface BaseOptions {
  readonly architecture: string;
  /** The folder with the packages. */
  readonly debs: string;
  readonly node: string;
  readonly out: string;
}

async function buildBaseLayer({ architecture, debs, node, out }: BaseOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'orca-release-base-'));
  try {
    // dpkg-deb creates folders with the umask.
    process.umask(0o022);
    const files = readdirSync(debs)
      .filter((name) => name.endsWith('.deb'))
      .toSorted();
    const packages = await Promise.all(files.map((name) => unpack(join(debs, name), root)));
    mkdirSync(out, { recursive: true });
    const layer = await writeGzip(tarOf(baseEntries(root, node, packages)), join(out, 'layer.tar.gz'));
    const description: BaseDescription = {
      architecture,
      layer,
      system: systemOf(readFileSync(join(root, 'etc/os-release'), 'utf8')),
      packages,
      nodeSha256: (await sha256OfFile(node)).sha256,
    };
    writeFileSync(join(out, 'base.json'), JSON.stringify(description));
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function unpack(deb: string, root: string): Promise<DebianPackage> {
  execFileSync('dpkg-deb', ['--extract', deb, root]);
  const control = execFileSync('dpkg-deb', ['--field', deb], { encoding: 'utf8' });
  const { sha256 } = await sha256OfFile(deb);
  return { name: field(control, 'Package'), version: field(control, 'Version'), control, sha256 };
}

function field(control: string, name: string): string {
  const [, value] = new RegExp(`^${name}: (.+)$`, 'm').exec(control) ?? [];
  if (value === undefined) throw new Error(`a Debian package has no field ${name}`);
  return value;
}

/** `etc/os-release` is shell: NAME="Value". */
export function systemOf(text: string): BaseDescription['system'] {
  const value = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), version: value('VERSION_ID'), name: value('PRETTY_NAME') };
}

function* baseEntries(root: string, node: string, packages: readonly DebianPackage[]): Generator<TarEntry> {
  const without = (path: string) => UNNEEDED.some((pattern) => pattern.test(path));
  // The system's own entries, without those that follow.
  const own = new Map([...ownEntries(root, node, packages)].map((entry) => [entry.path, entry]));
  for (const entry of treeOf(root, { prefix: '', without, keepModes: true })) if (!own.has(entry.path)) yield entry;
  yield* own.values();
}

function* ownEntries(root: string, node: string, packages: readonly DebianPackage[]): Generator<TarEntry> {
  yield folder('tmp', 0o1777);
  yield textFile('etc/passwd', PASSWD);
  yield textFile('etc/group', GROUPS);
  yield textFile('etc/nsswitch.conf', 'hosts: files dns\n');
  yield folder('etc/ssl');
  yield folder('etc/ssl/certs');
  yield textFile('etc/ssl/certs/ca-certificates.crt', certificates(join(root, CERTIFICATES)));
  // Where vulnerability scanners look for the packages of an image without dpkg.
  yield folder('var/lib/dpkg');
  yield folder('var/lib/dpkg/status.d');
  for (const { name, control } of packages) yield textFile(`var/lib/dpkg/status.d/${name}`, `${control.trim()}\n`);
  yield folder('usr/local');
  yield folder('usr/local/bin');
  yield fileEntry('usr/local/bin/node', node, 0o755);
}

/** As update-ca-certificates does it. */
function certificates(directory: string): string {
  const files = readdirSync(directory).toSorted();
  return files.map((name) => `${readFileSync(join(directory, name), 'utf8').trim()}\n`).join('');
}
