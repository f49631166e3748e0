/** Reads the uploaded objects through the cache: cold, warm, in ranges, concurrently, prewarmed, and during disruptions. */
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { readWithAwsCli } from './aws-cli.ts';
import { countsBetween, takeSnapshot } from './counts.ts';
import { Failure } from './failure.ts';
import type { Installation } from './installation.ts';
import { CACHE, CACHE_SELECTOR, NAMESPACE, ORIGIN_BUCKET, TIER } from './names.ts';
import { copy, inParallel, type StoredObject } from './objects.ts';
import {
  BURST_CLIENTS,
  readAll,
  readConcurrently,
  READERS,
  readRanges,
  type PassContext,
  type PassResult,
} from './passes.ts';
import { prewarm } from './prewarming.ts';
import { describePass, problemsOf, summary, type Pass } from './report.ts';
import { AWKWARD_NAMES } from './source-files.ts';

export interface Uploaded {
  readonly all: readonly StoredObject[];
  /** The object for concurrent clients; no other pass reads it. */
  readonly shared: StoredObject;
}

const MIB = 1024 * 1024;
const FRESH_FOLDER = 'fresh';
const PREWARMED_FOLDER = 'prewarmed';
/** Size of the new objects in the pass with a pod deletion, enough for fills to be in flight at that time. */
const FRESH_BYTES = 256 * MIB;
const PARALLEL_COPIES = 4;
const REPLACEMENT_TIMEOUT_S = 120;

interface PassPlan {
  readonly title: string;
  /** The objects that are not cached yet. */
  readonly cold?: readonly StoredObject[];
  /** A deleted pod takes its counters with it. */
  readonly deletesPod?: boolean;
  readonly read: () => Promise<PassResult>;
}

export async function readThroughCache(
  installation: Installation,
  context: PassContext,
  origin: S3Client,
  { all, shared }: Uploaded,
  aws: string | undefined,
): Promise<void> {
  const { kubectl, progress } = installation;
  const { signal, edge } = context;
  const passes: Pass[] = [];
  const pass = async (plan: PassPlan): Promise<void> => void passes.push(await runPass(installation, plan, signal));
  progress.step(`reading through the edge Service at ${edge} with @aws-sdk/client-s3, comparing every SHA-256`);

  await pass({ title: `cold, ${READERS} readers`, cold: all, read: () => readAll(context, all) });
  await pass({ title: `warm, ${READERS} readers`, read: () => readAll(context, all) });
  await pass({ title: 'ranges, warm', read: () => readRanges(context, rangeObjects(all)) });
  await pass({
    title: `cold, ${BURST_CLIENTS} clients, one object`,
    cold: [shared],
    read: () => readConcurrently(context, shared),
  });

  progress.blank();
  const prewarmed = await freshCopies(origin, all, PREWARMED_FOLDER, signal);
  await prewarm(installation, PREWARMED_FOLDER, prewarmed, signal);
  await pass({ title: 'first read of what was prewarmed', read: () => readAll(context, prewarmed) });

  progress.blank();
  progress.step('replacing all pods: afterwards only the cachestore contains the objects');
  await replaceAllPods(installation);
  await pass({ title: 'warm, all pods new', read: () => readAll(context, all) });

  progress.blank();
  const fresh = await freshCopies(origin, all, FRESH_FOLDER, signal);
  await pass({
    title: 'a pod is deleted',
    cold: fresh,
    deletesPod: true,
    read: () => readDuringPodDeletion(installation, context, [...all, ...fresh]),
  });
  await kubectl.waitFor(
    'the replacement of the deleted pod',
    'condition=Ready',
    ['-n', NAMESPACE, `orcacache/${CACHE}`],
    REPLACEMENT_TIMEOUT_S,
  );
  progress.step('the replacement is Ready');
  await readWithSecondClient(installation, context, all, aws);

  progress.blank();
  for (const line of summary(passes)) console.log(line);
  progress.blank();
  // Reported together at the end, because one problem often explains another.
  const problems = passes.flatMap(problemsOf);
  if (problems.length > 0) throw new Failure(problems.join('\n'));
}

async function runPass(
  { kubectl, progress }: Installation,
  { title, cold = [], deletesPod = false, read }: PassPlan,
  signal: AbortSignal,
): Promise<Pass> {
  const before = await takeSnapshot(kubectl, signal);
  const result = await read();
  const counts = countsBetween(before, await takeSnapshot(kubectl, signal));
  const done = {
    title,
    result,
    coldBytes: totalBytes(cold),
    counts: deletesPod ? undefined : counts,
    originBytes: counts.proxy.bytes,
    originRequests: counts.proxy.requests,
  };
  progress.blank();
  progress.step(title);
  for (const line of describePass(done)) progress.detail(line);
  return done;
}

async function readWithSecondClient(
  { progress }: Installation,
  { edge, signal }: PassContext,
  all: readonly StoredObject[],
  aws: string | undefined,
): Promise<void> {
  if (aws === undefined) {
    progress.step('AWS CLI: skipped, because its installation failed (see above)');
    return;
  }
  const chosen = [largestOf(all), ...all.filter(({ key }) => key === AWKWARD_NAMES[0])];
  await readWithAwsCli(aws, edge, chosen, signal);
  const names = chosen.map(({ key }) => `"${key}"`).join(' and ');
  progress.step(`aws s3 cp and aws s3api get-object --range: ${names} equal their sources`);
}

export function totalBytes(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function largestOf(objects: readonly StoredObject[]): StoredObject {
  return objects.reduce((largest, object) => (object.sizeBytes > largest.sizeBytes ? object : largest));
}

/** The objects of special sizes, one with an awkward name, and one with chunks of the larger size. */
function rangeObjects(all: readonly StoredObject[]): StoredObject[] {
  const special = all.filter(({ key }) => key.startsWith('sizes/') || key === AWKWARD_NAMES[2]);
  const large = all.filter(({ sizeBytes }) => sizeBytes >= TIER.minObjectBytes);
  return [...special, ...large.toSorted((a, b) => a.sizeBytes - b.sizeBytes).slice(0, 1)];
}

async function freshCopies(
  origin: S3Client,
  all: readonly StoredObject[],
  folder: string,
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
  await inParallel(chosen, PARALLEL_COPIES, async (object, index) => {
    copies[index] = await copy(origin, ORIGIN_BUCKET, object, join(folder, object.key), signal);
  });
  return copies;
}

/** Restarts the deployment and waits until the old pods have drained, so that the next pass reads from new pods only. */
async function replaceAllPods({ kubectl }: Installation): Promise<void> {
  const old = await kubectl.pods(NAMESPACE, CACHE_SELECTOR);
  await kubectl(['-n', NAMESPACE, 'rollout', 'restart', `deployment/${CACHE}`]);
  const names = old.map(({ name }) => `pod/${name}`);
  await kubectl.waitFor('the deletion of the old pods', 'delete', ['-n', NAMESPACE, ...names], REPLACEMENT_TIMEOUT_S);
}

/** Alternates new and cached objects, so that fills and cachestore reads are in flight when the pod is deleted. */
async function readDuringPodDeletion(
  { kubectl, progress }: Installation,
  context: PassContext,
  objects: readonly StoredObject[],
): Promise<PassResult> {
  const shuffled = interleave(objects);
  const pods = await kubectl.pods(NAMESPACE, CACHE_SELECTOR);
  const victim = pods.find(({ ready }) => ready);
  if (victim === undefined) throw new Failure('no cache pod is Ready');
  let deletion: Promise<string> | undefined;
  const deleteAt = Math.floor(shuffled.length / 4);
  const result = await readAll(context, shuffled, (done) => {
    if (done !== deleteAt) return;
    progress.step(`deleting pod ${victim.name} on ${victim.node} after ${done} of ${shuffled.length} reads`);
    deletion = kubectl(['-n', NAMESPACE, 'delete', 'pod', victim.name, '--wait=false']);
    // Awaited below; until then a rejection must not count as unhandled.
    deletion.catch(() => {});
  });
  await deletion;
  return result;
}

function interleave(objects: readonly StoredObject[]): StoredObject[] {
  const isFresh = ({ key }: StoredObject): boolean => key.startsWith(`${FRESH_FOLDER}/`);
  const fresh = objects.filter(isFresh);
  const cached = objects.filter((object) => !isFresh(object));
  const ratio = fresh.length / objects.length;
  return objects.map(() => {
    const takeFresh =
      cached.length === 0 || (fresh.length > 0 && fresh.length / (fresh.length + cached.length) >= ratio);
    const next = takeFresh ? fresh.shift() : cached.shift();
    if (next === undefined) throw new Error('interleave took more objects than there are');
    return next;
  });
}
