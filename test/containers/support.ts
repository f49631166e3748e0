/**
 * Runs containers as Kubernetes' restricted profile does: the image's own user, a read-only root, no capabilities, no new
 * privileges. Files reach a container through mounts.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  GenericContainer,
  getContainerRuntimeClient,
  type StartedTestContainer,
  Wait,
  type WaitStrategy,
} from 'testcontainers';
import { onTestFinished } from 'vitest';
import { keepSaid, noteSecret, noteSecretFile } from '#test/support/evidence.ts';

/** The tags that `hack/image` builds by default. */
export const IMAGE = {
  cache: 'orcacache/cache:dev',
  operator: 'orcacache/operator:dev',
  support: 'orcacache/support:dev',
} as const;
export const USER_ID = 10_001;

/** How long a process may take to exit, after SIGTERM or by itself. */
const EXIT_TIMEOUT_MS = 60_000;

export interface ContainerOptions {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Path in the container → content of the file. */
  readonly files?: Readonly<Record<string, string>>;
  /** Folders that the image's user may write to. */
  readonly folders?: readonly string[];
}

export interface ExitedContainer {
  readonly exitCode: number;
  readonly output: string;
  readonly tookMs: number;
}

export interface RunningContainer {
  url(port: number, path: string): string;
  /** Runs module source with the image's node, as the image's user; resolves with its standard output. */
  evaluate(script: string): Promise<string>;
  /** Sends SIGTERM, the signal that kubelet sends first. */
  terminate(): Promise<ExitedContainer>;
}

/** Starts an image and waits until `probe` responds. */
export async function startContainer(
  image: string,
  probe: { readonly port: number; readonly path: string },
  ports: readonly number[],
  options: ContainerOptions,
): Promise<RunningContainer> {
  const container = await confined(image, options);
  const started = await container
    .withExposedPorts(...ports)
    .withWaitStrategy(Wait.forHttp(probe.path, probe.port))
    .start();
  onTestFinished(() => remove(started));
  return {
    url: (port, path) => `http://${started.getHost()}:${started.getMappedPort(port)}${path}`,
    async evaluate(script) {
      const { exitCode, output } = await started.exec(['node', '--input-type=module', '--eval', script]);
      if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${output}`);
      return output;
    },
    terminate: () => waitForExit(started, 'SIGTERM'),
  };
}

export interface LimitedContainer {
  /** Whether the kernel has OOM-killed a process of the container. */
  isOutOfMemory(): Promise<boolean>;
  isRunning(): Promise<boolean>;
}

/** Starts an image in the host network, with a memory limit like a pod's. */
export async function startLimited(
  image: string,
  memoryBytes: number,
  options: ContainerOptions,
): Promise<LimitedContainer> {
  const container = (await confined(image, options))
    .withNetworkMode('host')
    .withResourcesQuota({ memory: memoryBytes / 1024 ** 3 })
    .withWaitStrategy(AS_SOON_AS_STARTED);
  const started = await container.start();
  onTestFinished(() => remove(started));
  const client = await getContainerRuntimeClient();
  const state = async () => (await client.container.getById(started.getId()).inspect()).State;
  return {
    isOutOfMemory: async () => (await state()).OOMKilled,
    isRunning: async () => (await state()).Running,
  };
}

/** Runs an image until it exits by itself. */
export async function runContainer(image: string, options: ContainerOptions): Promise<ExitedContainer> {
  const container = await confined(image, options);
  const started = await container.withWaitStrategy(AS_SOON_AS_STARTED).start();
  onTestFinished(() => remove(started));
  return waitForExit(started);
}

const AS_SOON_AS_STARTED: WaitStrategy = {
  waitUntilReady: () => Promise.resolve(),
  withStartupTimeout: () => AS_SOON_AS_STARTED,
  isStartupTimeoutSet: () => true,
  getStartupTimeout: () => 0,
};

/** testcontainers has no method for these two settings. */
class Confined extends GenericContainer {
  confine(): this {
    this.hostConfig.ReadonlyRootfs = true;
    this.hostConfig.CapDrop = ['ALL'];
    return this;
  }
}

async function confined(image: string, options: ContainerOptions): Promise<GenericContainer> {
  const container = new Confined(image)
    .confine()
    .withSecurityOpt('no-new-privileges')
    // hack/test finds the containers of a crashed test by this label.
    .withLabels({ 'orcacache-test': process.env['ORCACACHE_TEST_RUN'] ?? 'by-hand' })
    .withBindMounts(await mounted(options.files ?? {}))
    .withTmpFs(Object.fromEntries((options.folders ?? []).map((path) => [path, `uid=${USER_ID},gid=${USER_ID}`])));
  if (options.command !== undefined) container.withCommand([...options.command]);
  for (const [name, value] of Object.entries(options.environment ?? {}))
    if (/SECRET|TOKEN|PASSWORD|_KEY$/.test(name)) noteSecret(name, value);
  for (const [path, content] of Object.entries(options.files ?? {}))
    if (/secret|keys\.yaml|\.key$/.test(path)) noteSecretFile(dirname(path), basename(path), content);
  if (options.environment !== undefined) container.withEnvironment(options.environment);
  return container;
}

/** Mounts the files, because none can be copied into a read-only root. */
async function mounted(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'orcacache-container-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  return Promise.all(
    Object.entries(files).map(async ([target, content], index) => {
      const source = join(folder, String(index));
      await writeFile(source, content, { mode: 0o644 });
      return { source, target, mode: 'ro' as const };
    }),
  );
}

async function waitForExit(started: StartedTestContainer, signal?: string): Promise<ExitedContainer> {
  const client = await getContainerRuntimeClient();
  const container = client.container.getById(started.getId());
  const startMs = performance.now();
  if (signal !== undefined) await container.kill({ signal });
  const { StatusCode } = (await container.wait({ abortSignal: AbortSignal.timeout(EXIT_TIMEOUT_MS) })) as {
    StatusCode: number;
  };
  const tookMs = performance.now() - startMs;
  return { exitCode: StatusCode, output: await text(await started.logs()), tookMs };
}

async function remove(started: StartedTestContainer): Promise<void> {
  const client = await getContainerRuntimeClient();
  // The log stream of a running container never ends.
  await started.stop({ remove: false, timeout: 1 });
  keepSaid('container')(await text(await started.logs()));
  await client.container.getById(started.getId()).remove({ force: true, v: true });
}
