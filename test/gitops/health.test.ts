import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { statusOf } from '#operator/status/status.ts';
import { judge } from '#test/helm/judge.ts';
import { sample } from '#test/crds/sample.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { NOW_MS, statusInput, STATES, type KstatusResult } from '#test/operator/status/states.ts';

const ARGO_CD = 'gitops/argo-cd';
const FOLDER = `${ARGO_CD}/resource_customizations/orcacache.dev/OrcaCache`;
const SCRIPT = `${FOLDER}/health.lua`;

/** As the operator leaves it in a state of that name. */
function inState(name: string): OrcaCache {
  const overrides = STATES.find(([, state]) => state === name)?.[2];
  if (overrides === undefined) throw new Error(`there is no state ${name}`);
  const of = statusInput(overrides);
  return { ...of.cache, status: statusOf(of, '0.1.0', NOW_MS) };
}

const READY = inState('all is well');
const withMetadata = (metadata: Partial<OrcaCache['metadata']>): OrcaCache => ({
  ...READY,
  metadata: { ...READY.metadata, ...metadata },
});

/** What an Argo CD developer would write by hand is here what the operator writes. */
const TESTDATA: Readonly<Record<string, object>> = {
  ready: READY,
  new: { ...cacheFrom(MINIMAL), status: { observedGeneration: -1 } },
  changed: withMetadata({ generation: 2 }),
  rolling: inState('pods are on their way'),
  short: inState('a pod is lost'),
  going: withMetadata({ deletionTimestamp: '2026-05-01T00:00:00Z' }),
  failed: inState('the rollout is past its deadline'),
  'no-secret': inState('a Secret is missing for long'),
  paused: inState('it is paused'),
};

/** What each of kstatus' verdicts is called by Argo CD. */
const HEALTH: Readonly<Record<KstatusResult, string>> = {
  Current: 'Healthy',
  InProgress: 'Progressing',
  Failed: 'Degraded',
  Terminating: 'Progressing',
};

describe('the library of kstatus, which Flux and Helm wait by', () => {
  test('says of every state what it has to', async () => {
    const told = await judge(
      ['kstatus'],
      STATES.map(([, state]) => inState(state)),
    );
    expect(told.map(({ status }, index) => `${status}: ${STATES[index]?.[1]}`)).toEqual(
      STATES.map(([expected, state]) => `${expected}: ${state}`),
    );
  });

  test('waits for a cache that the operator has not seen, and for a change that it has not', async () => {
    const told = await judge(['kstatus'], [TESTDATA['new'], TESTDATA['changed'], TESTDATA['going']]);
    expect(told.map(({ status }) => status)).toEqual(['InProgress', 'InProgress', 'Terminating']);
  });

  test('would take a cache without any status for done, which is why the CRD gives it one', async () => {
    expect((await judge(['kstatus'], [sample()])).map(({ status }) => status)).toEqual(['Current']);
  });
});

describe('the health check for Argo CD', () => {
  test.for(Object.entries(TESTDATA))('is tested with what the operator writes: %s', async ([name, cache]) => {
    // Without the schema's defaults: new ones would change every file, and no health.
    const { spec } = parse(MINIMAL) as OrcaCache;
    await expect(stringify({ ...cache, spec })).toMatchFileSnapshot(`../../${FOLDER}/testdata/${name}.yaml`);
  });

  test('passes its tests, which are in the form of Argo CD’s own', async () => {
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

  test('agrees with kstatus about every state, but that it knows a pause', async () => {
    const told = await judge(
      ['lua', SCRIPT],
      STATES.map(([, state]) => inState(state)),
    );
    expect(told.map(({ status }, index) => `${status}: ${STATES[index]?.[1]}`)).toEqual(
      STATES.map(([verdict, state]) => `${state === 'it is paused' ? 'Suspended' : HEALTH[verdict]}: ${state}`),
    );
  });

  test('always says why', async () => {
    const told = await judge(
      ['lua', SCRIPT],
      STATES.map(([, state]) => inState(state)),
    );
    for (const { message } of told) expect(message).not.toBe('');
  });

  test('waits for a cache without any status', async () => {
    expect(await judge(['lua', SCRIPT], [sample()])).toEqual([
      { status: 'Progressing', message: 'Waiting for the operator' },
    ]);
  });

  test('is in the ConfigMap of Argo CD word for word', () => {
    const { data } = parse(readFileSync(`${ARGO_CD}/argocd-cm.yaml`, 'utf8')) as {
      readonly data: Readonly<Record<string, string>>;
    };
    expect(data['resource.customizations.health.orcacache.dev_OrcaCache']).toBe(readFileSync(SCRIPT, 'utf8'));
  });
});
