/** The demo: installs everything, uploads files to the origin, and reads them through the cache. */
import type { S3Client } from '@aws-sdk/client-s3';
import { edgeEndpoint, openPortForward, serviceEndpoints } from './endpoints.ts';
import { Failure } from './failure.ts';
import {
  awaitCache,
  awaitServers,
  installCache,
  installOperator,
  installServers,
  prepareCluster,
  type Installation,
} from './installation.ts';
import { CACHE, NAMESPACE, ORIGIN_BUCKET, STORE_BUCKET } from './names.ts';
import { createBucket, openClient, upload, type StoredObject } from './objects.ts';
import { readThroughCache, totalBytes, type Uploaded } from './reading.ts';
import { AWKWARD_NAMES, chooseSourceFiles, type SourceFile } from './source-files.ts';
import { exact, megabytesPerSecond, seconds } from './table.ts';

export interface ScenarioOptions {
  readonly sizeBytes: number;
  readonly toolsFolder: string;
  readonly aws: string | undefined;
}

export interface Outcome {
  readonly edge: string;
  /** An object that the user can read next. */
  readonly example: StoredObject;
}

const MIB = 1024 * 1024;
/** The object that many clients read at once: eight chunks. */
const SHARED_OBJECT_BYTES = 64 * MIB;

export async function runScenario(
  installation: Installation,
  options: ScenarioOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const { kubectl, progress, kubeconfig, viaPortForward } = installation;
  const before = await prepareCluster(installation);

  progress.step('applying origin and cachestore (versitygw), and a proxy that counts the origin requests');
  const secrets = await installServers(installation);
  const choosing = chooseSourceFiles(options.sizeBytes, options.toolsFolder);
  progress.step('helm install of the operator');
  await Promise.all([installOperator(installation, before), awaitServers(installation)]);

  await using portForward = viaPortForward ? await openPortForward(kubeconfig, signal) : undefined;
  const endpoints = portForward ?? (await serviceEndpoints(kubectl));
  const origin = openClient(endpoints.origin, secrets.origin);
  const store = openClient(endpoints.store, secrets.store);
  try {
    await createBucket(origin, ORIGIN_BUCKET, signal);
    await createBucket(store, STORE_BUCKET, signal);
  } finally {
    store.destroy();
  }
  progress.step(`kubectl apply of OrcaCache ${NAMESPACE}/${CACHE}`);
  await installCache(installation);
  const uploaded = await bothOf(
    uploadAll(installation, origin, await choosing, signal),
    awaitCache(installation).then(() => progress.step(`OrcaCache ${NAMESPACE}/${CACHE} is Ready`)),
  );

  const edge = portForward?.edge ?? (await edgeEndpoint(kubectl));
  try {
    await readThroughCache(installation, { edge, signal }, origin, uploaded, options.aws);
  } finally {
    origin.destroy();
  }
  const example = uploaded.all.find(({ key }) => key === AWKWARD_NAMES[0]);
  if (example === undefined) throw new Failure(`the upload lacks ${AWKWARD_NAMES[0]}`);
  return { edge, example };
}

/** Waits for both, also if one fails, so that neither continues during the cleanup. */
async function bothOf<T>(first: Promise<T>, second: Promise<unknown>): Promise<T> {
  const [result, other] = await Promise.allSettled([first, second]);
  if (other.status === 'rejected') throw other.reason;
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

async function uploadAll(
  { progress }: Installation,
  origin: S3Client,
  sources: readonly SourceFile[],
  signal: AbortSignal,
): Promise<Uploaded> {
  const startedMs = performance.now();
  const largest = sources.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
  if (largest === undefined) throw new Failure('found no file to upload');
  const sizeBytes = Math.min(SHARED_OBJECT_BYTES, largest.sizeBytes);
  const sharedSource = { key: 'shared/read by many clients', file: largest.file, offset: 0, sizeBytes };
  const [shared, ...all] = await upload(origin, ORIGIN_BUCKET, [sharedSource, ...sources], signal);
  if (shared === undefined) throw new Failure(`the upload lacks ${sharedSource.key}`);
  const bytes = totalBytes(all);
  const durationMs = performance.now() - startedMs;
  const rate = `in ${seconds(durationMs)} s (${megabytesPerSecond(bytes, durationMs)} MB/s)`;
  progress.step(
    `uploaded ${all.length} files of this machine to the origin: ${exact(bytes)} bytes, the largest ${exact(largest.sizeBytes)}, ${rate}`,
  );
  return { all, shared };
}
