/** Prewarms a prefix with `kubectl orca`, which shows its progress, and counts what the origin has sent for it. */
import { join } from 'node:path';
import { countsBetween, takeSnapshot } from './counts.ts';
import { Failure } from './failure.ts';
import type { Installation } from './installation.ts';
import { CLIENT_BUCKET, NAMESPACE } from './names.ts';
import type { StoredObject } from './objects.ts';
import { runShown } from './run.ts';
import { exact } from './table.ts';

const CLI = join(import.meta.dirname, '..', '..', 'cache', 'cli', 'main.ts');
/** So slow that the progress can be watched for some seconds. */
const RATE = '40Mi';
/** Many times what the objects take at that rate. */
const TIMEOUT_MS = 180_000;

/** `folder` contains only these objects, and none of them was read before. */
export async function prewarm(
  { kubectl, kubeconfig, progress }: Installation,
  folder: string,
  objects: readonly StoredObject[],
  signal: AbortSignal,
): Promise<void> {
  const before = await takeSnapshot(kubectl, signal);
  const url = `s3://${CLIENT_BUCKET}/${folder}/`;
  progress.step(`kubectl orca prewarm ${url} --rate ${RATE} --wait`);
  const options = ['--rate', RATE, '--wait', '-n', NAMESPACE, '--kubeconfig', kubeconfig];
  await runShown(process.execPath, [CLI, 'prewarm', url, ...options], {
    signal,
    timeoutMs: TIMEOUT_MS,
    what: `kubectl orca prewarm ${url}`,
  });
  const { proxy, committedBytes } = countsBetween(before, await takeSnapshot(kubectl, signal));
  const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  progress.step(
    `prewarmed ${objects.length} objects of ${exact(bytes)} bytes: the origin sent ${exact(proxy.objectBytes)}, ${exact(committedBytes)} are new in the cachestore`,
  );
  if (proxy.objectBytes !== bytes || committedBytes !== bytes)
    throw new Failure(`${url}: expected ${exact(bytes)} bytes from the origin, and the same number in the cachestore`);
}
