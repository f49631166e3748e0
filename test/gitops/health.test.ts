import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { statusOf } from '#operator/status/status.ts';
import { sample } from '#test/crds/sample.ts';
import { judge } from '#test/helm/judge.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { NOW_MS, statusInput, STATES, type KstatusResult } from '#test/operator/status/states.ts';

const ARGO_CD = 'gitops/argo-cd';
const FOLDER = `${ARGO_CD}/resource_customizations/orcacache.dev/OrcaCache`;
const SCRIPT = `${FOLDER}/health.lua`;

/** A cache with the status that the operator writes in the state of that name. */
function inState(name: string): OrcaCache {
  const overrides = STATES.find(([, state]) => state === name)?.[2];
  if (overrides === undefined) throw new Error(`unknown state: ${name}`);
  const input = statusInput(overrides);
  return { ...input.cache, status: statusOf(input, '0.1.0', NOW_MS) };
}

const READY = inState('everything is ready');
const withMetadata = (metadata: Partial<OrcaCache['metadata']>): OrcaCache => ({
  ...READY,
  metadata: { ...READY.metadata, ...metadata },
});

/** Content of the files in testdata/. It comes from the operator's own code, so it cannot go stale. */
const TESTDATA: Readonly<Record<string, object>> = {
  ready: READY,
  new: { ...cacheFrom(MINIMAL), status: { observedGeneration: -1 } },
  changed: withMetadata({ generation: 2 }),
  rolling: inState('pods are being replaced'),
  short: inState('a pod is lost'),
  deleting: withMetadata({ deletionTimestamp: '2026-05-01T00:00:00Z' }),
  failed: inState('the rollout is past its deadline'),
  'no-secret': inState('a Secret is missing after the grace period'),
  paused: inState('the cache is paused'),
  'over-capacity': inState('the cachestore is over its capacity'),
};

/** Argo CD's health status for each result of kstatus. */
const HEALTH: Readonly<Record<KstatusResult, string>> = {
  Current: 'Healthy',
  InProgress: 'Progressing',
  Failed: 'Degraded',
  Terminating: 'Progressing',
};

describe('the kstatus library, which Flux and Helm use to wait', () => {
  test('computes the expected result for every state', async () => {
    const results = await judge(
      ['kstatus'],
      STATES.map(([, state]) => inState(state)),
    );
    expect(results.map(({ status }, index) => `${status}: ${STATES[index]?.[1]}`)).toEqual(
      STATES.map(([expected, state]) => `${expected}: ${state}`),
    );
  });

  test('waits for a new cache and for a new generation until the operator has observed them', async () => {
    const results = await judge(['kstatus'], [TESTDATA['new'], TESTDATA['changed'], TESTDATA['deleting']]);
    expect(results.map(({ status }) => status)).toEqual(['InProgress', 'InProgress', 'Terminating']);
  });

  test('considers a cache without a status ready, which is why the CRD defaults the status', async () => {
    expect((await judge(['kstatus'], [sample()])).map(({ status }) => status)).toEqual(['Current']);
  });
});

describe('the health check for Argo CD', () => {
  test.for(Object.entries(TESTDATA))('is tested with statuses that the operator writes: %s', async ([name, cache]) => {
    // Without the schema's defaults: a new default would change every file but no health status.
    const { spec } = parse(MINIMAL) as OrcaCache;
    await expect(stringify({ ...cache, spec })).toMatchFileSnapshot(`../../${FOLDER}/testdata/${name}.yaml`);
  });

  test('passes its tests, which have the format of Argo CD’s own', async () => {
    const { tests } = parse(readFileSync(`${FOLDER}/health_test.yaml`, 'utf8')) as {
      readonly tests: readonly {
        readonly healthStatus: { readonly status: string; readonly message: string };
        readonly inputPath: string;
      }[];
    };
    const inputs = tests.map(({ inputPath }) => parse(readFileSync(`${FOLDER}/${inputPath}`, 'utf8')) as object);
    expect(await judge(['lua', SCRIPT], inputs)).toEqual(tests.map(({ healthStatus }) => healthStatus));
    expect(tests.map(({ inputPath }) => inputPath).toSorted()).toEqual(
      readdirSync(`${FOLDER}/testdata`).map((name) => `testdata/${name}`),
    );
  });

  test('agrees with kstatus in every state, except that it reports a paused cache as Suspended', async () => {
    const results = await judge(
      ['lua', SCRIPT],
      STATES.map(([, state]) => inState(state)),
    );
    expect(results.map(({ status }, index) => `${status}: ${STATES[index]?.[1]}`)).toEqual(
      STATES.map(([result, state]) => `${state === 'the cache is paused' ? 'Suspended' : HEALTH[result]}: ${state}`),
    );
  });

  test('always has a message', async () => {
    const results = await judge(
      ['lua', SCRIPT],
      STATES.map(([, state]) => inState(state)),
    );
    for (const { message } of results) expect(message).not.toBe('');
  });

  test('waits for a cache without a status', async () => {
    expect(await judge(['lua', SCRIPT], [sample()])).toEqual([
      { status: 'Progressing', message: 'Waiting for the operator' },
    ]);
  });

  test('is identical in the ConfigMap of Argo CD', () => {
    const { data } = parse(readFileSync(`${ARGO_CD}/argocd-cm.yaml`, 'utf8')) as {
      readonly data: Readonly<Record<string, string>>;
    };
    expect(data['resource.customizations.health.orcacache.dev_OrcaCache']).toBe(readFileSync(SCRIPT, 'utf8'));
  });
});
