/** The images of both programs, from a base, prepared node_modules and the sources of this checkout. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readBase, type Base } from './base-description.ts';
import { withVersion } from './bundle.ts';
import { installedPackages, type InstalledPackage } from './installed.ts';
import { imageArchive, writeArchive, type ContainerConfig, type ImageArchive, type Layer } from './oci.ts';
import type { ReleaseOptions } from './options.ts';
import { folder, tarOf, textFile, treeOf, type TarEntry } from './tar.ts';
import { writeGzip } from './write.ts';

export const PROGRAMS = ['cache', 'operator'] as const;
export type Program = (typeof PROGRAMS)[number];

/** Default host of an image that is named without one. */
const DEFAULT_HOST = 'docker.io';

export interface ImageContext {
  readonly root: string;
  readonly scratch: string;
  readonly options: ReleaseOptions;
}

export interface BuiltImage extends ImageArchive {
  readonly program: Program;
  /** With its host, without its tag. */
  readonly repository: string;
  readonly file: string;
  readonly platforms: readonly { readonly base: Base; readonly packages: readonly InstalledPackage[] }[];
}

export const createdAt = (epochSeconds: number): string => new Date(epochSeconds * 1000).toISOString();

export async function writeImage(program: Program, context: ImageContext): Promise<BuiltImage> {
  const { root, options } = context;
  const { version, registry, source, out } = options;
  const docker = readFileSync(join(root, `Dockerfile.${program}`), 'utf8');
  const app = await layerOf('app', appEntries(root, program, version), `the ${program}`, context);
  const platforms = [];
  for (const architecture of options.architectures) {
    const base = readBase(required(options.bases, architecture));
    const modules = await modulesLayer(
      `${program}-${architecture}`,
      required(options.deps, `${program}-${architecture}`),
      context,
    );
    const system: Layer = {
      ...base.layer,
      file: join(base.folder, 'layer.tar.gz'),
      comment: `${base.system.name} and Node.js`,
    };
    platforms.push({ architecture, base, packages: modules.packages, layers: [system, modules.layer, app] });
  }
  const repository = `${registry === '' ? DEFAULT_HOST : registry}/orcacache/${program}`;
  const archive = imageArchive({
    name: `${repository}:${version}`,
    created: createdAt(source.epochSeconds),
    config: containerConfig(docker),
    labels: {
      ...labelsOf(docker),
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': source.revision,
    },
    platforms,
  });
  const file = `orcacache-${program}-${version}.tar`;
  await writeArchive(archive, join(out, file));
  return { ...archive, program, repository, file, platforms };
}

function required(paths: ReadonlyMap<string, string>, name: string): string {
  const path = paths.get(name);
  if (path === undefined) throw new Error(`hack/release has not prepared ${name}`);
  return path;
}

async function layerOf(
  name: string,
  entries: Iterable<TarEntry>,
  comment: string,
  { scratch }: ImageContext,
): Promise<Layer> {
  const file = join(scratch, `${name}-${comment.replaceAll(' ', '-')}.tar.gz`);
  return { ...(await writeGzip(tarOf(entries), file)), file, comment };
}

/** The same files as the Dockerfile copies. */
export function* appEntries(root: string, program: Program, version: string): Generator<TarEntry> {
  yield folder('app');
  yield textFile('app/package.json', withVersion(readFileSync(join(root, 'package.json'), 'utf8'), version));
  for (const name of ['crds', 'shared', program]) {
    yield folder(`app/${name}`);
    yield* treeOf(join(root, name), { prefix: `app/${name}` });
  }
}

/** `archive`: of a folder node_modules. It is packed again, since npm leaves times and modes of this machine in it. */
async function modulesLayer(name: string, archive: string, context: ImageContext) {
  const unpacked = join(context.scratch, `modules-${name}`);
  mkdirSync(unpacked, { recursive: true });
  execFileSync('tar', ['-xf', archive, '-C', unpacked, '--no-same-owner']);
  const lock = readFileSync(join(unpacked, 'node_modules/.package-lock.json'), 'utf8');
  const packages = installedPackages(lock, (path) => existsSync(join(unpacked, path)));
  const layer = await layerOf(name, modulesEntries(unpacked), 'node_modules', context);
  rmSync(unpacked, { recursive: true });
  return { packages, layer };
}

function* modulesEntries(unpacked: string): Generator<TarEntry> {
  yield folder('app');
  yield* treeOf(unpacked, { prefix: 'app' });
}

/** What the Dockerfile declares, so that both ways to build an image agree. */
export function containerConfig(dockerfile: string): ContainerConfig {
  const instruction = (name: string): string => {
    const [, value] = new RegExp(`^${name} (.+)$`, 'm').exec(dockerfile) ?? [];
    if (value === undefined) throw new Error(`the Dockerfile has no ${name}`);
    return value;
  };
  const command = /^CMD (.+)$/m.exec(dockerfile)?.[1];
  return {
    User: instruction('USER'),
    ExposedPorts: Object.fromEntries(
      instruction('EXPOSE')
        .split(' ')
        .map((port) => [`${port}/tcp`, {}]),
    ),
    Env: ['PATH=/usr/local/bin:/usr/bin:/bin', ...instruction('ENV').split(' ')],
    Entrypoint: JSON.parse(instruction('ENTRYPOINT')) as unknown,
    ...(command !== undefined && { Cmd: JSON.parse(command) as unknown }),
    // The last one: before it, other stages have theirs.
    WorkingDir: [...dockerfile.matchAll(/^WORKDIR (.+)$/gm)].at(-1)?.[1],
  };
}

export function labelsOf(dockerfile: string): Record<string, string> {
  const found = dockerfile.matchAll(/(org\.opencontainers\.image\.[a-z]+)="([^"]*)"/g);
  return Object.fromEntries([...found].map(([, name = '', value = '']) => [name, value]));
}
