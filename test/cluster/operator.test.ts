/** The operator as the chart installs it, on real nodes. The tests of a cache build on each other, over its life cycle. */
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { becomes, cache, eventually, openWorld, secret, START_MS, type World } from './operator-world.ts';

const GOLDEN = 'test/golden/operator';
/** The Deployment's progress deadline, and the time to observe it. */
const DEADLINE_MS = 180_000;
/** A pod first probes the origin 15 s after it is ready, and its report is read once a minute. */
const SIDES_MS = 120_000;

let world: World;
beforeAll(async () => {
  world = await openWorld({ restricted: true, operators: 2 });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const ready = (name: string): Promise<void> =>
  becomes(() => world.condition(name, 'Ready'), 'True ReplicasReady', START_MS);

describe('the children', () => {
  test.for(readdirSync(GOLDEN))('pass strict validation by the API server, for the sample %s', async (file) => {
    const manifests = readFileSync(`${GOLDEN}/${file}`, 'utf8').replaceAll(
      'namespace: ml',
      `namespace: ${world.namespace}`,
    );
    const told = await world.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], manifests);
    expect(told.trim().split('\n')).toHaveLength(manifests.split(/^kind: /m).length - 1);
  });
});

describe('a cache', () => {
  test('with a missing Secret reports its name, and has no children', async () => {
    await world.apply(cache('models', { secret: 'keys' }));
    await becomes(() => world.condition('models', 'Reconciling'), 'True WaitingForSecret');
    const message = await world.field('orca models', '{.status.conditions[?(@.type=="Reconciling")].message}');
    expect(message).toContain(`spec.origin.s3.credentialsSecretRef: Secret ${world.namespace}/keys not found`);
    expect(await world.leftovers('models')).toEqual([]);
  });

  test('becomes ready when the Secret is created, and serves', async () => {
    await world.apply(secret('keys'));
    await ready('models');
    expect(await world.field('orca models', '{.status.readyReplicas} {.status.endpoint}')).toBe(
      `3 http://models.${world.namespace}.svc`,
    );
    expect(await world.read('models', 'hello.txt')).toBe('hello\n');
  });

  test('has its proven configuration in the runtime file that pods reload', async () => {
    const hash = await world.field('orca models', '{.status.configHash}');
    // The Deployment may be seen complete a moment before its pods are seen ready: the next reconcile writes it.
    await eventually(async () => {
      const runtime = await world.field('configmap models-runtime', '{.data.runtime\\.yaml}');
      expect(runtime).toContain(hash);
    });
  });

  test('reports the state of the origin, the cachestore and the runtime settings from its pods', async () => {
    await becomes(() => world.condition('models', 'OriginReachable'), 'True Reachable', SIDES_MS);
    await becomes(() => world.condition('models', 'CacheStoreReady'), 'True Atomic', SIDES_MS);
    await becomes(() => world.condition('models', 'RuntimeApplied'), 'True Applied', SIDES_MS);
  });

  test('is reconciled again without a write', async () => {
    const [reconciles, writes] = await Promise.all([reconcileCount(), writeCount()]);
    await world.kubectl(['annotate', 'orca', 'models', 'example.com/look=again', '--overwrite']);
    await eventually(async () => expect(await reconcileCount()).toBeGreaterThan(reconciles));
    expect(await writeCount()).toBe(writes);
  });

  test('gets a deleted child and a changed field restored', async () => {
    await world.kubectl(['delete', 'service', 'models']);
    await becomes(() => world.field('service models', '{.spec.ports[0].port}'), '80');
    await world.kubectl([
      'patch',
      'service',
      'models',
      '--type=merge',
      '-p',
      '{"spec":{"selector":{"stray":"label"}}}',
    ]);
    await becomes(() => world.field('service models', '{.spec.selector.stray}'), '');
    await ready('models');
  });

  test('follows kubectl scale, and has no disruption budget for one replica', async () => {
    await world.kubectl(['scale', 'orca/models', '--replicas=1']);
    await becomes(() => world.field('orca models', '{.status.replicas} {.status.readyReplicas}'), '1 1');
    await becomes(() => world.field('pdb models', '{.metadata.name}'), '');
    await world.kubectl(['scale', 'orca/models', '--replicas=3']);
    await becomes(() => world.field('orca models', '{.status.replicas} {.status.readyReplicas}'), '3 3', START_MS);
    await ready('models');
    expect(await world.field('pdb models', '{.spec.maxUnavailable}')).toBe('1');
  });

  test('is reconciled by another operator when the leader is deleted', async () => {
    const leader = await world.leader();
    await world.kubectl(['delete', 'pod', leader, '--grace-period=0', '--force']);
    await world.kubectl(['delete', 'service', 'models']);
    await becomes(() => world.field('service models', '{.spec.ports[0].port}'), '80');
    expect(await world.leader()).not.toBe(leader);
  });

  test('loses at most one pod at a time to a drain, and becomes complete again on the remaining nodes', async () => {
    const [node = ''] = await nodeNames();
    const selector = '--pod-selector=app.kubernetes.io/component=cache';
    try {
      let isOver = false;
      const drained = world
        .kubectl(['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', selector, '--timeout=120s'])
        .finally(() => (isOver = true));
      let fewest = 3;
      do {
        const ready = Number(await world.field('deployment models', '{.status.readyReplicas}'));
        fewest = Math.min(fewest, ready);
      } while (!isOver);
      await drained;
      expect(fewest).toBeGreaterThanOrEqual(2);
      await becomes(() => world.field('orca models', '{.status.readyReplicas}'), '3', START_MS);
      expect(await nodeNames()).not.toContain(node);
    } finally {
      await world.kubectl(['uncordon', node]);
    }
  });

  test('is scaled by a HorizontalPodAutoscaler through its scale subresource', async () => {
    await world.apply({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'models' },
      spec: {
        scaleTargetRef: { apiVersion: 'orcacache.dev/v1alpha1', kind: 'OrcaCache', name: 'models' },
        minReplicas: 4,
        maxReplicas: 5,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
        ],
      },
    });
    await becomes(() => world.field('deployment models', '{.spec.replicas}'), '4');
    const able = '{.status.conditions[?(@.type=="AbleToScale")].status}';
    expect(await world.field('hpa models', able)).toBe('True');
    await world.kubectl(['delete', 'hpa', 'models']);
    await world.kubectl(['scale', 'orca/models', '--replicas=3']);
    await becomes(() => world.field('orca models', '{.status.replicas} {.status.readyReplicas}'), '3 3', START_MS);
    await ready('models');
  });

  test('with required anti-affinity runs on three nodes, also while all its pods are replaced', async () => {
    await patch({ availability: { antiAffinity: 'Required' } });
    await becomes(() => world.condition('models', 'Ready'), 'False Progressing');
    await becomes(() => world.condition('models', 'Ready'), 'True ReplicasReady', START_MS);
    expect(new Set(await nodeNames()).size).toBe(3);
  });

  test('without anti-affinity fits on a single node', async () => {
    const [, ...others] = [...new Set(await nodeNames())];
    try {
      for (const node of others) await world.kubectl(['cordon', node]);
      await patch({ availability: { antiAffinity: 'None' } });
      await becomes(() => world.condition('models', 'Ready'), 'False Progressing');
      await becomes(() => world.condition('models', 'Ready'), 'True ReplicasReady', START_MS);
      expect(new Set(await nodeNames()).size).toBe(1);
    } finally {
      for (const node of others) await world.kubectl(['uncordon', node]);
    }
    await patch({ availability: null });
    await becomes(() => world.condition('models', 'Ready'), 'True ReplicasReady', START_MS);
  });

  test('runs as any user, with group 0, as platforms choose them', async () => {
    const user = { runAsUser: 1_000_770_000, runAsGroup: 0 };
    const rest = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
    await patch({ pod: { securityContext: { ...user, ...rest } } });
    await becomes(() => world.condition('models', 'Ready'), 'False Progressing');
    await becomes(() => world.condition('models', 'Ready'), 'True ReplicasReady', START_MS);
    const [pod = ''] = await podNames();
    const identity = 'console.log(process.getuid(), process.getgid())';
    expect((await world.kubectl(['exec', pod, '--', 'node', '-e', identity])).trim()).toBe('1000770000 0');
    expect(await world.read('models', 'hello.txt')).toBe('hello\n');
    await patch({ pod: null });
    await becomes(() => world.condition('models', 'Ready'), 'False Progressing');
    await ready('models');
  });

  test('with a broken change keeps serving, also when its containers restart, and reports the reason', async () => {
    const before = await podNames();
    await world.apply(cache('models', { secret: 'keys', endpoint: 'http://nowhere:7070' }));
    await becomes(() => world.condition('models', 'Ready'), 'False Progressing');
    await eventually(async () => {
      const message = await world.field('orca models', '{.status.conditions[?(@.type=="Reconciling")].message}');
      expect(message).toContain('bucket models');
    });

    const [old = ''] = before;
    await world.kubectl(['exec', old, '--', 'node', '-e', 'process.kill(1, "SIGTERM")']);
    const container = '{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}';
    await becomes(() => world.field(`pod ${old}`, container), '1 true', START_MS);

    await becomes(() => world.condition('models', 'Stalled'), 'True RolloutFailed', DEADLINE_MS);
    expect(await world.condition('models', 'Ready')).toBe('False RolloutFailed');
    expect(await world.read('models', 'hello.txt')).toBe('hello\n');
    expect(await world.field('orca models', '{.status.readyReplicas}')).toBe('3');
    expect(await podNames()).toEqual(expect.arrayContaining(before));
  });

  test('recovers when the change is reverted', async () => {
    await world.apply(cache('models', { secret: 'keys' }));
    await ready('models');
    expect(await world.condition('models', 'Stalled')).toBe('False ReplicasReady');
    expect(await world.field('orca models', '{.status.replicas}')).toBe('3');
  });

  test('emits one event for the failed rollout', async () => {
    const events = await world.field(
      'events.events.k8s.io --field-selector regarding.kind=OrcaCache,reason=RolloutFailed',
      '{range .items[*]}{.type} {.regarding.name}{"\\n"}{end}',
    );
    expect(events.trim().split('\n')).toEqual(['Warning models']);
  });

  test('leaves no children when it is deleted, and keeps the Secret of its user', async () => {
    await world.kubectl(['delete', 'orca', 'models']);
    await eventually(async () => expect(await world.leftovers('models')).toEqual([]));
    expect(await world.field('secret keys', '{.metadata.name}')).toBe('keys');
  });
});

describe('a name that is taken', () => {
  test('is left to its owner and reported until it is free', async () => {
    await world.apply(
      secret('keys'),
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'taken-runtime' }, data: { owner: 'somebody' } },
      cache('taken', { secret: 'keys', replicas: 1 }),
    );
    await becomes(() => world.condition('taken', 'Ready'), 'False NameConflict');
    expect(await world.field('configmap taken-runtime', '{.data.owner}')).toBe('somebody');
    expect(await world.field('deployment taken', '{.metadata.name}')).toBe('');
    await world.kubectl(['delete', 'configmap', 'taken-runtime']);
    await ready('taken');
  });
});

function reconcileCount(): Promise<number> {
  return world.metric('controller_runtime_reconcile_total');
}

/** All writes but the renewals of the lease, the only PUT requests. */
function writeCount(): Promise<number> {
  return world.metric('rest_client_requests_total', /method="(POST|PATCH|DELETE)"/);
}

function patch(spec: object): Promise<string> {
  return world.kubectl(['patch', 'orca', 'models', '--type=merge', '-p', JSON.stringify({ spec })]);
}

async function nodeNames(): Promise<string[]> {
  return (await pods()).map(({ spec }) => spec.nodeName ?? '');
}

async function podNames(): Promise<string[]> {
  return (await pods()).map(({ metadata }) => metadata.name);
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
}

/** The pods of the cache that are not being deleted. */
async function pods(): Promise<Pod[]> {
  const list = await world.kubectl(['get', 'pods', '-l', 'app.kubernetes.io/instance=models', '-o', 'json']);
  return (JSON.parse(list) as { items: Pod[] }).items.filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
}
