/** Writes everything that a release page holds into one folder. `hack/release VERSION` prepares its parts and calls it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeChart } from './chart-archive.ts';
import { writeExecutables, writeSums } from './executables.ts';
import { createdAt, PROGRAMS, writeImage, type BuiltImage } from './image.ts';
import { installManifest } from './install-manifest.ts';
import { familiarName } from './oci.ts';
import { BadInput, parseOptions, type ReleaseOptions } from './options.ts';
import { PAYLOAD_TYPE, provenanceOf, type Dependency } from './provenance.ts';
import { debianPurl, sbomOf } from './sbom.ts';
import { envelopeOf, KeyError, type SigningKey } from './signature.ts';
import { sha256OfFile } from './write.ts';

const ROOT = join(import.meta.dirname, '../..');
const MIB = 1024 * 1024;
const CHARTS = ['orcacache', 'orcacache-cluster'];
const NODE_VERSION = process.version.slice(1);

try {
  const { check, ...options } = parseOptions(process.argv.slice(2), ROOT);
  if (!check) await release(options);
} catch (error) {
  if (!(error instanceof BadInput || error instanceof KeyError)) throw error;
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}

async function release(options: ReleaseOptions): Promise<void> {
  const { out, version, key } = options;
  await mkdir(out, { recursive: true });
  // Beside the result, since it may be larger than the memory behind a temporary folder.
  const scratch = await mkdtemp(`${out}.scratch-`);
  const sums = new Map<string, string>();
  const add = async (name: string, text?: string) => {
    if (text !== undefined) await writeFile(join(out, name), text);
    const { sha256, sizeBytes } = await sha256OfFile(join(out, name));
    sums.set(name, sha256);
    console.log(`wrote ${name} (${sizeText(sizeBytes)})`);
  };
  try {
    const images = [];
    for (const program of PROGRAMS) {
      const image = await writeImage(program, { root: ROOT, scratch, options });
      images.push(image);
      await add(image.file);
      for (const [name, sbom] of sbomsOf(image, options)) await add(name, json(sbom));
    }
    await add(
      'images.txt',
      images.map(({ repository, digest }) => `${familiarName(repository)}:${version}@${digest}\n`).join(''),
    );
    for (const name of CHARTS) {
      const file = `${name}-${version}.tgz`;
      const chart = { folder: join(ROOT, 'charts', name), version, registry: options.registry };
      await writeChart(chart, options.source.epochSeconds, join(out, file));
      await add(file);
    }
    await add('install.yaml', await installManifest(join(out, `orcacache-${version}.tgz`)));
    if (options.nodes.size > 0) {
      const { epochSeconds } = options.source;
      const { nodes } = options;
      for (const file of await writeExecutables({ root: ROOT, version, epochSeconds, out, scratch, nodes }))
        await add(file);
    }
    const statement = json(provenance(options, images, sums));
    await add('provenance.json', statement);
    await signAll(out, await writeSums(out, sums), statement, key);
  } catch (error) {
    // It was empty: nothing of a broken release stays behind.
    await rm(out, { recursive: true });
    throw error;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

function* sbomsOf(image: BuiltImage, { version, source }: ReleaseOptions): Generator<[name: string, sbom: object]> {
  const { program, repository, manifests } = image;
  for (const { base, packages } of image.platforms) {
    const digest = manifests.get(base.architecture)!;
    const created = createdAt(source.epochSeconds);
    const sbom = { image: program, version, repository, digest, created, base, nodeVersion: NODE_VERSION, packages };
    yield [`orcacache-${program}-${version}-linux-${base.architecture}.cdx.json`, sbomOf(sbom)];
  }
}

function provenance(options: ReleaseOptions, images: readonly BuiltImage[], sums: ReadonlyMap<string, string>): object {
  const subjects = [...sums].map(([name, sha256]) => ({ name, sha256 }));
  for (const { repository, digest } of images)
    subjects.push({ name: repository, sha256: digest.replace('sha256:', '') });
  const { version, registry, builder, source, architectures } = options;
  return provenanceOf({
    version,
    registry,
    builder,
    revision: source.revision,
    platforms: architectures.map((name) => `linux/${name}`),
    subjects,
    dependencies: dependenciesOf(images),
  });
}

function dependenciesOf(images: readonly BuiltImage[]): Dependency[] {
  const found = new Map<string, Dependency>();
  for (const { base, packages } of images.flatMap(({ platforms }) => platforms)) {
    for (const deb of base.packages) {
      const uri = debianPurl(base, deb);
      found.set(uri, { uri, digest: { sha256: deb.sha256 } });
    }
    const node = `pkg:generic/node@${NODE_VERSION}?arch=${base.architecture}`;
    found.set(node, { uri: node, digest: { sha256: base.nodeSha256 } });
    for (const { purl, sha512 } of packages)
      if (sha512 !== undefined) found.set(purl, { uri: purl, digest: { sha512 } });
  }
  return [...found.values()].toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
}

async function signAll(out: string, sums: string, statement: string, key: SigningKey | undefined): Promise<void> {
  if (key === undefined) {
    console.log('wrote SHA256SUMS; not signed: --sign-key FILE signs it');
    return;
  }
  await writeFile(join(out, 'SHA256SUMS.sig'), key.sign(Buffer.from(sums)));
  await writeFile(join(out, 'provenance.dsse.json'), json(envelopeOf(PAYLOAD_TYPE, Buffer.from(statement), key)));
  await writeFile(join(out, 'release.pub'), key.publicKey);
  console.log('wrote SHA256SUMS and SHA256SUMS.sig, provenance.dsse.json and release.pub: signed');
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function sizeText(bytes: number): string {
  if (bytes < MIB) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
}
