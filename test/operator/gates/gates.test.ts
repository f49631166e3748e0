/** Gated pods against the fake API server: the watches, the queue of prewarms, and what the pods get. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { openLeaderTerms } from '#operator/control/leader-term.ts';
import { GATE_COLLECTIONS } from '#operator/gates/collections.ts';
import { openGateWork } from '#operator/gates/work.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { systemClock } from '#shared/clock.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { silentLog } from '#shared/log.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { until } from '#test/support/until.ts';

const EVENTS = '/apis/events.k8s.io/v1/namespaces/ml/events';
const podPath = (name: string): string => `/api/v1/namespaces/ml/pods/${name}`;
const prewarmPath = (name: string): string => `/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/${name}`;

interface World {
  readonly api: FakeApiServer;
  readonly putPod: (name: string, annotations?: Record<string, string>, gates?: readonly string[]) => void;
  readonly putPrewarm: (name: string, condition?: string, message?: string) => void;
  readonly gatesOf: (name: string) => readonly string[];
  /** `REASON of POD: NOTE`, in order. */
  readonly events: () => readonly string[];
  /** Everything that was changed before has been reconciled. */
  readonly settled: () => Promise<void>;
}

async function openWorld(prepare: (world: Pick<World, 'putPod' | 'putPrewarm'>) => void = () => {}): Promise<World> {
  const api = await openFakeApiServer();
  const putPod: World['putPod'] = (
    name,
    annotations = { 'orcacache.dev/prewarm': 'llama' },
    gates = ['orcacache.dev/prewarm'],
  ) =>
    void api.put(podPath(name), {
      metadata: { annotations },
      spec: { schedulingGates: gates.map((gate) => ({ name: gate })) },
      status: { phase: 'Pending' },
    });
  const putPrewarm: World['putPrewarm'] = (name, condition, message = '') =>
    void api.put(prewarmPath(name), {
      spec: {},
      status: {
        runs: 1,
        conditions: condition === undefined ? [] : [{ type: condition, status: 'True', reason: condition, message }],
      },
    });
  prepare({ putPod, putPrewarm });
  const metrics = openMetrics('0', 'api');
  const done = new Set<string>();
  let active = 0;
  const terms = openLeaderTerms({
    client: api.client(),
    clock: systemClock,
    log: silentLog,
    namespaces: [],
    controllers: [
      {
        subject: 'prewarm',
        collections: GATE_COLLECTIONS,
        observer: metrics.controller('schedulinggate'),
        openWork(addKey) {
          const work = openGateWork({
            client: api.client(),
            clock: systemClock,
            log: silentLog,
            namespaces: [],
            instance: 'test',
            addKey,
          });
          return {
            ...work,
            async reconcile(reconcileApi, key) {
              active += 1;
              const outcome = await work.reconcile(reconcileApi, key);
              active -= 1;
              done.add(key);
              return outcome;
            },
          };
        },
      },
    ],
  });
  const stop = new AbortController();
  const ended = terms.lead({ signal: stop.signal, assertHeld: () => {} });
  onTestFinished(async () => {
    stop.abort(new Error('the test is over'));
    await ended;
    await api.close();
  });
  await until(() => api.watches.count() === 2, 'both watches are open');
  let marks = 0;
  return {
    api,
    putPod,
    putPrewarm,
    gatesOf: (name) => {
      const { spec } = api.get(podPath(name)) as KubeObject & { spec: { schedulingGates?: { name: string }[] } };
      return (spec.schedulingGates ?? []).map((gate) => gate.name);
    },
    events: () =>
      api.writes().flatMap(({ path, body }) => {
        const { reason, note, regarding } = body as { reason?: string; note?: string; regarding?: { name: string } };
        const isMark = regarding?.name.startsWith('mark-') ?? false;
        return path === EVENTS && !isMark ? [`${reason} of ${regarding?.name}: ${note}`] : [];
      }),
    async settled() {
      // Both watches deliver in order.
      marks += 1;
      putPrewarm(`mark-${marks}`);
      putPod(`mark-${marks}`, { 'orcacache.dev/prewarm': `mark-of-pod-${marks}` });
      const keys = [`ml/mark-${marks}`, `ml/mark-of-pod-${marks}`];
      await until(() => keys.every((key) => done.has(key)) && active === 0, 'the marks are reconciled');
    },
  };
}

describe('a gated pod', () => {
  test('starts when its prewarm is complete, and not before', async () => {
    const { putPod, putPrewarm, gatesOf, events, settled } = await openWorld();
    putPrewarm('llama');
    putPod('job');
    await settled();
    expect(gatesOf('job')).toEqual(['orcacache.dev/prewarm']);
    expect(events()).toEqual([]);
    putPrewarm('llama', 'Complete');
    await until(() => gatesOf('job').length === 0, 'the gate is removed');
    await settled();
    expect(events()).toEqual(['GateRemoved of job: complete: llama']);
  });

  test('starts at once if its prewarm was complete before, also before the operator started', async () => {
    const { gatesOf, putPod } = await openWorld(({ putPod, putPrewarm }) => {
      putPrewarm('llama', 'Complete');
      putPod('early');
    });
    await until(() => gatesOf('early').length === 0, 'the gate is removed');
    putPod('late');
    await until(() => gatesOf('late').length === 0, 'the gate is removed');
  });

  test('waits for all prewarms that it names', async () => {
    const { putPod, putPrewarm, gatesOf, settled } = await openWorld();
    putPrewarm('llama', 'Complete');
    putPrewarm('data');
    putPod('job', { 'orcacache.dev/prewarm': ' llama, data,llama ' });
    await settled();
    expect(gatesOf('job')).toHaveLength(1);
    putPrewarm('data', 'Complete');
    await until(() => gatesOf('job').length === 0, 'the gate is removed');
  });

  test('keeps other gates; pods without the gate or without the annotation are not touched', async () => {
    const { api, putPod, putPrewarm, gatesOf, settled } = await openWorld();
    putPod('two', undefined, ['example.com/quota', 'orcacache.dev/prewarm']);
    putPod('other', undefined, ['example.com/quota']);
    putPod('unnamed', {});
    putPrewarm('llama', 'Complete');
    await until(() => gatesOf('two').length === 1, 'the gate is removed');
    await settled();
    expect(gatesOf('two')).toEqual(['example.com/quota']);
    expect(gatesOf('unnamed')).toHaveLength(1);
    const patched = api.writes().filter(({ method }) => method === 'PATCH');
    expect(patched.map(({ path }) => path)).toEqual([podPath('two')]);
  });

  test('waits if its prewarm does not exist, and one event has the name', async () => {
    const { api, putPod, putPrewarm, gatesOf, events, settled } = await openWorld();
    // The name must not become the path of another object.
    api.put('/apis/orcacache.dev/v1alpha1/namespaces/ml/secrets/a', {});
    putPod('job');
    putPod('strange', { 'orcacache.dev/prewarm': '../secrets/a' });
    await until(() => events().length === 2, 'both pods have an event');
    putPod('job', { 'orcacache.dev/prewarm': 'llama', 'example.com/look': 'again' });
    await settled();
    const remedy = 'which does not exist; create it, or correct the annotation orcacache.dev/prewarm';
    expect(events().toSorted()).toEqual([
      `PrewarmNotFound of job: waiting for OrcaPrewarm ml/llama, ${remedy}`,
      `PrewarmNotFound of strange: waiting for OrcaPrewarm ml/../secrets/a, ${remedy}`,
    ]);
    putPrewarm('llama', 'Complete');
    await until(() => gatesOf('job').length === 0, 'the gate is removed');
  });

  test('waits if its prewarm fails, with one event for each failure', async () => {
    const { api, putPod, putPrewarm, gatesOf, events, settled } = await openWorld();
    putPod('job');
    putPrewarm('llama', 'Failed', '1 of 3 objects failed');
    await until(() => events().some((event) => event.startsWith('PrewarmFailed')), 'the event is written');
    putPod('job', { 'orcacache.dev/prewarm': 'llama', 'example.com/look': 'again' });
    await settled();
    const failures = () => events().filter((event) => event.startsWith('PrewarmFailed'));
    expect(failures()).toEqual([
      'PrewarmFailed of job: OrcaPrewarm llama has failed: 1 of 3 objects failed. The pod waits until it is created again and complete; the annotation orcacache.dev/prewarm-on-failure: Release lets it start',
    ]);
    expect(gatesOf('job')).toHaveLength(1);
    api.delete(prewarmPath('llama'));
    putPrewarm('llama', 'Failed', 'again');
    await until(() => failures().length === 2, 'the new failure has an event');
  });

  test('starts in spite of a failure with the annotation, once no other prewarm is open', async () => {
    const { putPod, putPrewarm, gatesOf, events, settled } = await openWorld();
    putPrewarm('data');
    putPrewarm('llama', 'Failed', '1 of 3 objects failed');
    putPod('job', { 'orcacache.dev/prewarm': 'llama,data', 'orcacache.dev/prewarm-on-failure': 'Release' });
    await settled();
    expect(gatesOf('job')).toHaveLength(1);
    putPrewarm('data', 'Complete');
    await until(() => gatesOf('job').length === 0, 'the gate is removed');
    await settled();
    expect(events()).toEqual(['GateRemoved of job: the pod starts although these have failed: llama']);
  });

  test('that was deleted or replaced meanwhile is not an error', async () => {
    const { api, putPod, putPrewarm, gatesOf, settled } = await openWorld();
    putPod('job');
    putPod('next');
    await settled();
    api.onRequest(({ method, path }) => {
      if (method === 'PATCH' && path === podPath('job')) api.delete(podPath('job'));
    });
    putPrewarm('llama', 'Complete');
    await until(() => gatesOf('next').length === 0, 'the gate of the other pod is removed');
    expect(api.get(podPath('job'))).toBeUndefined();
  });
});
