/** The OCI image layout of an image for two platforms: each descriptor fits its blob. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appEntries, containerConfig, labelsOf } from '#hack/release.d/image.ts';
import { familiarName, imageArchive, type ImageArchive, type Layer } from '#hack/release.d/oci.ts';
import { systemOf } from '#hack/release.d/base-layer.ts';
import { tarOf, textFile } from '#hack/release.d/tar.ts';
import { sha256OfFile, writeGzip } from '#hack/release.d/write.ts';

const NAME = 'registry.example.com/storage/orcacache/cache:1.2.3';
const LABELS = { 'org.opencontainers.image.version': '1.2.3' };
const TYPE = 'application/vnd.oci.image';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

let folder = '';
let layers: Layer[] = [];
let image: ImageArchive;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'orca-image-'));
  layers = await Promise.all(
    ['amd64', 'arm64', 'app'].map(async (comment) => {
      const file = join(folder, comment);
      return { ...(await writeGzip(tarOf([textFile('f', comment)]), file)), file, comment };
    }),
  );
  image = build();
});
afterAll(() => rmSync(folder, { recursive: true }));

function build(): ImageArchive {
  const [amd64, arm64, app] = layers as [Layer, Layer, Layer];
  return imageArchive({
    name: NAME,
    created: '2026-01-02T03:04:05.000Z',
    config: { User: '10001:10001' },
    labels: LABELS,
    platforms: [
      { architecture: 'amd64', layers: [amd64, app] },
      { architecture: 'arm64', layers: [arm64, app] },
    ],
  });
}

function content(path: string): Buffer {
  const entry = image.entries.find((entry) => entry.path === path)?.content;
  if (entry === undefined) throw new Error(`${path} is not in the archive`);
  return Buffer.isBuffer(entry) ? entry : readFileSync(entry.file);
}
const json = (path: string) => JSON.parse(content(path).toString()) as unknown;
const pathOf = ({ digest }: Descriptor) => `blobs/sha256/${digest.replace('sha256:', '')}`;

/** Every blob has the size and the digest of its descriptor. */
function checked(descriptor: Descriptor): unknown {
  const bytes = content(pathOf(descriptor));
  expect(descriptor.size).toBe(bytes.length);
  expect(descriptor.digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  return descriptor.mediaType.endsWith('+json') ? JSON.parse(bytes.toString()) : bytes;
}

test('the layout names one index, with the names that containerd and skopeo read', () => {
  expect(json('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
  const { manifests } = json('index.json') as { manifests: Descriptor[] };
  expect(manifests).toHaveLength(1);
  expect(manifests[0]).toMatchObject({
    mediaType: `${TYPE}.index.v1+json`,
    digest: image.digest,
    annotations: { 'io.containerd.image.name': NAME, 'org.opencontainers.image.ref.name': '1.2.3' },
  });
});

test('each platform has a manifest, a config and layers of the right type, size and digest', () => {
  const { manifests } = json('index.json') as { manifests: Descriptor[] };
  const index = checked(manifests[0]!) as { manifests: Descriptor[] };
  expect(index.manifests.map(({ platform }) => platform)).toEqual([
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'linux' },
  ]);
  for (const [i, descriptor] of index.manifests.entries()) {
    expect(descriptor.mediaType).toBe(`${TYPE}.manifest.v1+json`);
    const manifest = checked(descriptor) as { config: Descriptor; layers: Descriptor[] };
    const config = checked(manifest.config);
    expect(config).toMatchObject({
      architecture: ['amd64', 'arm64'][i],
      os: 'linux',
      created: '2026-01-02T03:04:05.000Z',
      config: { User: '10001:10001', Labels: LABELS },
      rootfs: { type: 'layers', diff_ids: [layers[i], layers[2]].map((layer) => `sha256:${layer!.plainSha256}`) },
    });
    for (const layer of manifest.layers) {
      checked(layer);
      expect(layer.mediaType).toBe(`${TYPE}.layer.v1.tar+gzip`);
    }
  }
});

test('a layer that both platforms use is stored once', () => {
  const blobs = image.entries.filter(({ path }) => path.startsWith('blobs/sha256/'));
  // 3 layers, 2 configs, 2 manifests, 1 index.
  expect(blobs).toHaveLength(8);
  expect(new Set(blobs.map(({ path }) => path)).size).toBe(8);
});

test("Docker's manifest has a tag for each platform, and only paths in the archive", () => {
  const docker = json('manifest.json') as { Config: string; RepoTags: string[]; Layers: string[] }[];
  expect(docker.map(({ RepoTags }) => RepoTags)).toEqual([[NAME], [`${NAME}-arm64`]]);
  for (const path of docker.flatMap(({ Config, Layers }) => [Config, ...Layers])) content(path);
});

test('the same input gives the same digest', () => {
  expect(build().digest).toBe(image.digest);
});

test.for([
  ['docker.io/orcacache/cache:1', 'orcacache/cache:1'],
  [NAME, NAME],
] as const)('users write %s as %s', ([name, familiar]) => {
  expect(familiarName(name)).toBe(familiar);
});

describe.for(['cache', 'operator'] as const)('the image of the %s', (program) => {
  const dockerfile = readFileSync(`Dockerfile.${program}`, 'utf8');

  test('is configured as its Dockerfile declares it', () => {
    expect(containerConfig(dockerfile)).toMatchObject({
      User: '10001:10001',
      WorkingDir: '/app',
      Entrypoint: ['node', `${program}/main.ts`],
      Env: expect.arrayContaining(['NODE_ENV=production', 'NODE_OPTIONS=--max-old-space-size=256']),
    });
    expect(labelsOf(dockerfile)).toMatchObject({
      'org.opencontainers.image.title': `orcacache-${program}`,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });

  test('contains the folders that its Dockerfile copies, and the version of the release', () => {
    const entries = [...appEntries('.', program, '9.9.9')];
    const copied = [...dockerfile.matchAll(/^COPY (\S+) \.\//gm)].map(([, name]) => `app/${name}`);
    const top = entries.map(({ path }) => path).filter((path) => path.split('/').length === 2);
    expect(top.toSorted()).toEqual(copied.toSorted());
    const file = entries.find(({ path }) => path === 'app/package.json')?.content;
    expect(JSON.parse(Buffer.isBuffer(file) ? file.toString() : '')).toMatchObject({
      version: '9.9.9',
      type: 'module',
    });
  });
});

test('a Dockerfile without a needed instruction is an error', () => {
  expect(() => containerConfig('FROM x\n')).toThrow('the Dockerfile has no USER');
});

test('the system of the base is read from os-release', () => {
  expect(systemOf('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n')).toEqual({
    id: 'debian',
    version: '12',
    name: 'Debian GNU/Linux 12 (bookworm)',
  });
});

test('a layer file has the digest that its description names', async () => {
  for (const { file, sha256, sizeBytes } of layers) expect(await sha256OfFile(file)).toEqual({ sha256, sizeBytes });
});
