/** Pods with the scheduling gate: they get a node when their prewarms are complete. */
import { expect, test } from 'vitest';
import { becomes, BUCKET, eventually, START_MS } from './operator-world.ts';
import { plainObjects, totalBytes } from './prewarm-objects.ts';
import { CACHE, target, type PrewarmWorld } from './prewarm-world.ts';

const MIB = 1024 * 1024;
const GATE = 'orcacache.dev/prewarm';
const ON_FAILURE = 'orcacache.dev/prewarm-on-failure';
const OBJECTS = plainObjects('gated/', 6, 2 * MIB + 5);
const RUN_S = 120;

/** A pod that reads objects through the cache, and prints how many bytes it got. */
function reader(name: string, annotations: Readonly<Record<string, string>>): object {
  const keys = JSON.stringify(OBJECTS.map(({ key }) => key));
  const program = `
    let bytes = 0;
    for (const key of ${keys}) bytes += (await (await fetch('http://${CACHE}/${BUCKET}/' + key)).bytes()).length;
    console.log('read', bytes);`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations },
    spec: {
      restartPolicy: 'Never',
      schedulingGates: [{ name: GATE }],
      securityContext: { runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'reader',
          image: 'orcacache/support:dev',
          imagePullPolicy: 'IfNotPresent',
          command: ['node', '--input-type=module', '-e', program],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

export function testGatedPods(open: () => PrewarmWorld): void {
  const scheduled = (pod: string): Promise<string> =>
    open().world.field(`pod ${pod}`, '{.status.conditions[?(@.type=="PodScheduled")].reason}');
  const events = (pod: string): Promise<string> =>
    open().world.kubectl(['get', 'events', '--field-selector', `involvedObject.name=${pod}`, '-o', 'yaml']);

  test('a pod stays without a node until its prewarm is Complete, then reads without a byte from the origin', async () => {
    const warm = open();
    await warm.upload(OBJECTS);
    const before = await warm.settledOriginBytes();
    await warm.world.apply(reader('reader', { [GATE]: 'gated' }));
    await becomes(() => scheduled('reader'), 'SchedulingGated');
    await eventually(async () => expect(await events('reader')).toContain('gated'));
    // Slow enough to see the pod gated during the run.
    await warm.apply('gated', { targets: [target('gated/')], maxBytesPerSecond: '4M' });
    await eventually(async () => expect(await warm.originBytes()).toBeGreaterThan(before));
    expect(await scheduled('reader')).toBe('SchedulingGated');

    await warm.waitFor('gated', 'Complete', RUN_S);
    const sentBytes = (await warm.settledOriginBytes()) - before;
    expect(sentBytes).toBe(totalBytes(OBJECTS));
    await becomes(() => warm.world.field('pod reader', '{.status.phase}'), 'Succeeded', START_MS);
    expect(await warm.world.kubectl(['logs', 'reader'])).toBe(`read ${totalBytes(OBJECTS)}\n`);
    expect((await warm.settledOriginBytes()) - before).toBe(sentBytes);
  });

  test('keys from a list that do not exist fail the run; a pod waits for it, or starts if its annotation permits', async () => {
    const warm = open();
    const present = OBJECTS[0]!.key;
    const keys = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'keys-list' } };
    await warm.world.apply({ ...keys, data: { list: `${present}\ngated/absent\n` } });
    await warm.apply('incomplete', {
      targets: [{ bucket: BUCKET, keysFrom: { configMapRef: { name: 'keys-list', key: 'list' } } }],
    });
    await warm.world.apply(
      reader('waits', { [GATE]: 'incomplete' }),
      reader('starts', { [GATE]: 'gated,incomplete', [ON_FAILURE]: 'Release' }),
    );
    await warm.waitFor('incomplete', 'Failed', RUN_S);
    expect(await warm.status('incomplete')).toMatchObject({
      objects: { total: 2, done: 1, failed: 1 },
      failures: [{ key: 'gated/absent', reason: 'not_found' }],
    });
    await becomes(() => warm.world.field('pod starts', '{.status.phase}'), 'Succeeded', START_MS);
    await eventually(async () => expect(await events('waits')).toContain('incomplete'));
    expect(await scheduled('waits')).toBe('SchedulingGated');
    await warm.world.kubectl(['delete', 'pod', 'reader', 'waits', 'starts', '--wait=false']);
  });

  test('a manifest and globs select what is fetched', async () => {
    const warm = open();
    const [first, second] = OBJECTS.map(({ key }) => key);
    await warm.put('lists/epoch-1', `${JSON.stringify({ key: first })}\n${JSON.stringify({ key: second })}\n`);
    await warm.apply('selected', {
      targets: [
        { bucket: BUCKET, manifest: { bucket: BUCKET, key: 'lists/epoch-1' } },
        { ...target('gated/'), include: ['000[2-9]'], exclude: ['0005'] },
      ],
    });
    await warm.waitFor('selected', 'Complete', RUN_S);
    expect((await warm.status('selected')).objects).toEqual({ total: 5, done: 5, failed: 0 });
  });
}
