/** The story that the demo tells: install, upload, read cold, warm, in ranges, together, and while a pod goes. */
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { readWithAwsCli } from './aws-cli.ts';
import { countsBetween, takeSnapshot } from './counts.ts';
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
import { AWKWARD_NAMES, chooseMaterial, type Material } from './material.ts';
import { CACHE, CACHE_SELECTOR, NAMESPACE, ORIGIN_BUCKET, STORE_BUCKET, TIER } from './names.ts';
import { copy, createBucket, inParallel, openClient, upload, type StoredObject } from './objects.ts';
import { CROWD, readAll, READERS, readRanges, readTogether, type PassContext, type PassResult } from './passes.ts';
import { edgeDirectly, reachByRelay, reachDirectly } from './reach.ts';
import { describePass, mistakesOf, summary, type Pass } from './report.ts';
import { exact, megabytesPerSecond, seconds } from './table.ts';

export interface ScenarioOptions {
  readonly sizeBytes: number;
  readonly toolsFolder: string;
  readonly aws: string | undefined;
}

export interface Outcome {
  readonly edge: string;
  /** For a person to read next. */
  readonly example: StoredObject;
}

const MIB = 1024 * 1024;
/** The object of the crowd, which nobody has read before: eight chunks. */
const CROWD_BYTES = 64 * MIB;
/** Fresh names for the read in whose middle a pod is deleted, so that fills are under way then. */
const FRESH_BYTES = 256 * MIB;
const COPIES_AT_ONCE = 4;
const REPLACEMENT_TIMEOUT_S = 120;

export async function playScenario(
  installation: Installation,
  options: ScenarioOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const { kubectl, progress, kubeconfig, byRelay } = installation;
  const before = await prepareCluster(installation);

  progress.step('applying origin and cachestore (versitygw), and a proxy that counts what reaches the origin');
  const secrets = await installServers(installation);
  const choosing = chooseMaterial(options.sizeBytes, options.toolsFolder);
  progress.step('helm install of the operator');
  await Promise.all([installOperator(installation, before), awaitServers(installation)]);

  await using relay = byRelay ? await reachByRelay(kubeconfig, signal) : undefined;
  const reach = relay ?? (await reachDirectly(kubectl));
  const origin = openClient(reach.origin, secrets.origin);
  const store = openClient(reach.store, secrets.store);
  try {
    await createBucket(origin, ORIGIN_BUCKET, signal);
    await createBucket(store, STORE_BUCKET, signal);
  } finally {
    store.destroy();
  }
  progress.step(`kubectl apply of OrcaCache ${NAMESPACE}/${CACHE}`);
  await installCache(installation);
  const ready = awaitCache(installation).then(() => progress.step(`OrcaCache ${NAMESPACE}/${CACHE} is Ready`));
  const objects = uploadAll(installation, origin, await choosing, signal);
  // Both at once, and neither may be left behind when the other fails.
  const [readied, uploaded] = await Promise.allSettled([ready, objects]);
  if (readied.status === 'rejected') throw readied.reason;
  if (uploaded.status === 'rejected') throw uploaded.reason;

  const edge = relay?.edge ?? (await edgeDirectly(kubectl));
  try {
    await readEverything(installation, { edge, signal }, origin, uploaded.value, options.aws);
  } finally {
    origin.destroy();
  }
  const example = uploaded.value.all.find(({ key }) => key === AWKWARD_NAMES[0]);
  if (example === undefined) throw new Failure('the objects lack the one that is shown');
  return { edge, example };
}

interface Uploaded {
  readonly all: readonly StoredObject[];
  readonly crowd: StoredObject;
}

async function uploadAll(
  { progress }: Installation,
  origin: S3Client,
  materials: readonly Material[],
  signal: AbortSignal,
): Promise<Uploaded> {
  const startedMs = performance.now();
  const largest = materials.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
  if (largest === undefined) throw new Failure('there is nothing to upload');
  const sizeBytes = Math.min(CROWD_BYTES, largest.sizeBytes);
  const [crowd, ...all] = await upload(
    origin,
    ORIGIN_BUCKET,
    [{ key: 'crowd/everybody wants this', file: largest.file, offset: 0, sizeBytes }, ...materials],
    signal,
  );
  if (crowd === undefined) throw new Failure('the upload lost an object');
  const bytes = bytesOf(all);
  const durationMs = performance.now() - startedMs;
  progress.step(
    `uploaded ${all.length} files of this machine to the origin: ${exact(bytes)} bytes, the largest ${exact(largest.sizeBytes)}, in ${seconds(durationMs)} s (${megabytesPerSecond(bytes, durationMs)} MB/s)`,
  );
  return { all, crowd };
}

async function readEverything(
  installation: Installation,
  context: PassContext,
  origin: S3Client,
  { all, crowd }: Uploaded,
  aws: string | undefined,
): Promise<void> {
  const { kubectl, progress } = installation;
  const { signal, edge } = context;
  const passes: Pass[] = [];
  // Told together at the end, since each says something about the others.
  const mistakes: string[] = [];
  progress.step(`reading through the edge Service at ${edge} with @aws-sdk/client-s3; every SHA-256 is compared`);

  const pass = async (
    title: string,
    cold: readonly StoredObject[],
    podsStay: boolean,
    read: () => Promise<PassResult>,
  ) => {
    const before = await takeSnapshot(kubectl, signal);
    const result = await read();
    const counts = countsBetween(before, await takeSnapshot(kubectl, signal));
    const done = {
      title,
      result,
      coldBytes: bytesOf(cold),
      counts: podsStay ? counts : undefined,
      originBytes: counts.proxy.bytes,
      originRequests: counts.proxy.requests,
    };
    passes.push(done);
    mistakes.push(...mistakesOf(done));
    progress.blank();
    progress.step(title);
    for (const line of describePass(done)) progress.detail(line);
  };

  await pass(`cold, ${READERS} readers`, all, true, () => readAll(context, all));
  await pass(`warm, ${READERS} readers`, [], true, () => readAll(context, all));
  await pass('ranges, warm', [], true, () => readRanges(context, rangeObjects(all)));
  await pass(`cold, ${CROWD} clients, one object`, [crowd], true, () => readTogether(context, crowd));

  progress.blank();
  progress.step('replacing all pods: what is read next can only come from the cachestore');
  await replaceAllPods(installation);
  await pass('warm, all pods new', [], true, () => readAll(context, all));

  progress.blank();
  const fresh = await freshCopies(origin, all, signal);
  await pass('a pod is deleted', fresh, false, () => readWhileAPodGoes(installation, context, [...all, ...fresh]));
  await kubectl.waitFor(
    'the replacement of the deleted pod',
    'condition=Ready',
    ['-n', NAMESPACE, `orcacache/${CACHE}`],
    REPLACEMENT_TIMEOUT_S,
  );
  progress.step('the replacement is Ready');

  if (aws === undefined) progress.step('AWS CLI: left out, since it could not be installed here (see above)');
  else {
    const chosen = [largestOf(all), ...all.filter(({ key }) => key === AWKWARD_NAMES[0])];
    await readWithAwsCli(aws, edge, chosen, signal);
    progress.step(
      `aws s3 cp and aws s3api get-object --range: ${chosen.map(({ key }) => `"${key}"`).join(' and ')} are equal to the source`,
    );
  }

  progress.blank();
  for (const line of summary(passes)) console.log(line);
  progress.blank();
  if (mistakes.length > 0) throw new Failure(mistakes.join('\n'));
}

function bytesOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function largestOf(objects: readonly StoredObject[]): StoredObject {
  return objects.reduce((largest, object) => (object.sizeBytes > largest.sizeBytes ? object : largest));
}

/** The edge sizes, a name that is hard, and one with chunks of the larger kind. */
function rangeObjects(all: readonly StoredObject[]): StoredObject[] {
  const special = all.filter(({ key }) => key.startsWith('sizes/') || key === AWKWARD_NAMES[2]);
  const large = all.filter(({ sizeBytes }) => sizeBytes >= TIER.minObjectBytes);
  return [...special, ...large.toSorted((a, b) => a.sizeBytes - b.sizeBytes).slice(0, 1)];
}

async function freshCopies(
  origin: S3Client,
  all: readonly StoredObject[],
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const chosen: StoredObject[] = [];
  let bytes = 0;
  for (const object of all.filter(({ key }) => !key.startsWith('sizes/'))) {
    if (bytes >= FRESH_BYTES) break;
    chosen.push(object);
    bytes += object.sizeBytes;
  }
  const copies: StoredObject[] = [];
  await inParallel(chosen, COPIES_AT_ONCE, async (object, index) => {
    copies[index] = await copy(origin, ORIGIN_BUCKET, object, join('fresh', object.key), signal);
  });
  return copies;
}

/** As a user would; the old pods drain, so that the next pass finds only new ones. */
async function replaceAllPods({ kubectl }: Installation): Promise<void> {
  const old = await kubectl.pods(NAMESPACE, CACHE_SELECTOR);
  await kubectl(['-n', NAMESPACE, 'rollout', 'restart', `deployment/${CACHE}`]);
  const names = old.map(({ name }) => `pod/${name}`);
  await kubectl.waitFor('the old pods to go', 'delete', ['-n', NAMESPACE, ...names], REPLACEMENT_TIMEOUT_S);
}

/** New objects and known ones in turn, so that fills and store reads are under way when the pod goes. */
async function readWhileAPodGoes(
  { kubectl, progress }: Installation,
  context: PassContext,
  objects: readonly StoredObject[],
): Promise<PassResult> {
  const shuffled = interleave(objects);
  const pods = await kubectl.pods(NAMESPACE, CACHE_SELECTOR);
  const victim = pods.find(({ ready }) => ready);
  if (victim === undefined) throw new Failure('no cache pod is ready to be deleted');
  let deletion: Promise<string> | undefined;
  const deleteAt = Math.floor(shuffled.length / 4);
  const result = await readAll(context, shuffled, (done) => {
    if (done !== deleteAt) return;
    progress.step(`deleting pod ${victim.name} on ${victim.node}, ${done} of ${shuffled.length} objects are read`);
    deletion = kubectl(['-n', NAMESPACE, 'delete', 'pod', victim.name, '--wait=false']);
    // Judged below; until then it must not count as unhandled.
    deletion.catch(() => {});
  });
  await deletion;
  return result;
}

function interleave(objects: readonly StoredObject[]): StoredObject[] {
  const fresh = objects.filter(({ key }) => key.startsWith('fresh/'));
  const known = objects.filter(({ key }) => !key.startsWith('fresh/'));
  const ratio = fresh.length / objects.length;
  return objects.map(() => {
    const takeFresh = known.length === 0 || (fresh.length > 0 && fresh.length / (fresh.length + known.length) >= ratio);
    const next = takeFresh ? fresh.shift() : known.shift();
    if (next === undefined) throw new Failure('the objects ran out');
    return next;
  });
}
