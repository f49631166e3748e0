/**
 * An image for several platforms as one archive: an OCI image layout, with the `manifest.json` that Docker's older image
 * store reads. containerd, Docker and skopeo load it as it is.
 */
import { createHash } from 'node:crypto';
import { fileEntry, folder, tarOf, textFile, type TarEntry } from './tar.ts';
import { writeStream } from './write.ts';

const TYPE = 'application/vnd.oci.image';

export interface Layer {
  /** The compressed archive. */
  readonly file: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** SHA-256 of the archive before compression. */
  readonly plainSha256: string;
  /** What it contains, for `docker history`. */
  readonly comment: string;
}

export interface PlatformImage {
  readonly architecture: string;
  readonly layers: readonly Layer[];
}

/** `Env`, `User`, `Entrypoint`, … as the image specification names them. */
export type ContainerConfig = Readonly<Record<string, unknown>>;

export interface ImageOptions {
  /** `host/path/name:tag`, with its host. */
  readonly name: string;
  readonly created: string;
  readonly config: ContainerConfig;
  readonly labels: Readonly<Record<string, string>>;
  readonly platforms: readonly PlatformImage[];
}

export interface ImageArchive {
  readonly entries: readonly TarEntry[];
  /** The digest of the index, which names the image for all platforms. */
  readonly digest: string;
  /** Digest of the manifest of each architecture. */
  readonly manifests: ReadonlyMap<string, string>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function imageArchive({ name, created, config, labels, platforms }: ImageOptions): ImageArchive {
  const blobs = new Map<string, TarEntry>();
  const blob = (mediaType: string, value: object): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash('sha256').update(bytes).digest('hex');
    blobs.set(hex, textFile(blobPath(hex), bytes.toString()));
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const built = platforms.map(({ architecture, layers }) => {
    for (const { sha256, file } of layers) blobs.set(sha256, fileEntry(blobPath(sha256), file, 0o644));
    const image = blob(`${TYPE}.config.v1+json`, configOf({ architecture, layers, created, config, labels }));
    const manifest = blob(`${TYPE}.manifest.v1+json`, {
      schemaVersion: 2,
      mediaType: `${TYPE}.manifest.v1+json`,
      config: image,
      layers: layers.map(layerDescriptor),
      annotations: labels,
    });
    return { architecture, layers, image, manifest };
  });
  const index = blob(`${TYPE}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.index.v1+json`,
    manifests: built.map(({ architecture, manifest }) => ({ ...manifest, platform: { architecture, os: 'linux' } })),
    annotations: labels,
  });
  const tag = name.slice(name.lastIndexOf(':') + 1);
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag };
  const docker = built.map(({ architecture, layers, image }, i) => ({
    Config: blobPath(hexOf(image.digest)),
    // This format has no platforms: the first has the tag itself.
    RepoTags: [familiarName(name) + (i === 0 ? '' : `-${architecture}`)],
    Layers: layers.map(({ sha256 }) => blobPath(sha256)),
  }));
  return {
    entries: [
      textFile('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
      textFile('index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ ...index, annotations }] })),
      textFile('manifest.json', JSON.stringify(docker)),
      folder('blobs'),
      folder('blobs/sha256'),
      ...[...blobs.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    ],
    digest: index.digest,
    manifests: new Map(built.map(({ architecture, manifest }) => [architecture, manifest.digest])),
  };
}

export async function writeArchive({ entries }: ImageArchive, file: string): Promise<void> {
  await writeStream(tarOf(entries), file);
}

/** As users write it: without the host and the project that are the default. */
export function familiarName(name: string): string {
  return name.replace(/^docker\.io\//, '');
}

const blobPath = (hex: string): string => `blobs/sha256/${hex}`;
const hexOf = (digest: string): string => digest.replace('sha256:', '');

function layerDescriptor({ sha256, sizeBytes }: Layer): Descriptor {
  return { mediaType: `${TYPE}.layer.v1.tar+gzip`, digest: `sha256:${sha256}`, size: sizeBytes };
}

type ConfigOptions = PlatformImage & Omit<ImageOptions, 'name' | 'platforms'>;

function configOf({ architecture, layers, created, config, labels }: ConfigOptions): object {
  return {
    created,
    architecture,
    os: 'linux',
    config: { ...config, Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map(({ plainSha256 }) => `sha256:${plainSha256}`) },
    history: layers.map(({ comment }) => ({ created, created_by: 'hack/release', comment })),
  };
}
