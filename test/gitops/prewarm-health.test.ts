import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { OrcaPrewarm } from '#crds/types.ts';
import { acceptedPrewarm, prewarmWith } from '#test/crds/prewarm-sample.ts';
import { judge } from '#test/helm/judge.ts';
import { PREWARM_STATES, prewarmAfter, prewarmIn } from '#test/operator/prewarm/states.ts';
import type { KstatusResult } from '#test/operator/status/states.ts';

const ARGO_CD = 'gitops/argo-cd';
const FOLDER = `${ARGO_CD}/resource_customizations/orcacache.dev/OrcaPrewarm`;
const SCRIPT = `${FOLDER}/health.lua`;

const COMPLETE = prewarmIn('the run is complete');
const withMetadata = (metadata: Partial<OrcaPrewarm['metadata']>): OrcaPrewarm => ({
  ...COMPLETE,
  metadata: { ...COMPLETE.metadata, ...metadata },
});

/** Content of the files in testdata/. It comes from the operator's own code, so it cannot go stale. */
const TESTDATA: Readonly<Record<string, object>> = {
  new: acceptedPrewarm(prewarmWith({ 'metadata.generation': 1 })),
  started: prewarmIn('a run has started'),
  running: prewarmIn('a run is in progress'),
  complete: COMPLETE,
  changed: withMetadata({ generation: 2 }),
  deleting: withMetadata({ deletionTimestamp: '2026-05-02T00:00:00Z' }),
  failed: prewarmIn('an object failed'),
  'no-cache': prewarmIn('the cache does not exist after the grace period'),
  suspended: prewarmIn('the run is suspended'),
  scheduled: prewarmIn('the first scheduled run is not due yet'),
  'failed-last-night': prewarmIn('the last scheduled run has failed'),
};

/** Argo CD's health status for each result of kstatus. */
const HEALTH: Readonly<Record<KstatusResult, string>> = {
  Current: 'Healthy',
  InProgress: 'Progressing',
  Failed: 'Degraded',
  Terminating: 'Progressing',
};
/** States in which Argo CD has a better status. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'the run is suspended': 'Suspended',
  'the run is suspended from the start': 'Suspended',
  'the schedule is suspended': 'Suspended',
  'the last scheduled run has failed': 'Degraded',
};

const prewarms = PREWARM_STATES.map(([, , passes]) => prewarmAfter(passes));

describe('the kstatus library', () => {
  test('computes the expected result for every state of a prewarm', async () => {
    const results = await judge(['kstatus'], prewarms);
    expect(results.map(({ status }, index) => `${status}: ${PREWARM_STATES[index]?.[1]}`)).toEqual(
      PREWARM_STATES.map(([expected, state]) => `${expected}: ${state}`),
    );
  });

  test('waits for a new prewarm and for a new generation until the operator has observed them', async () => {
    const results = await judge(['kstatus'], [TESTDATA['new'], TESTDATA['changed'], TESTDATA['deleting']]);
    expect(results.map(({ status }) => status)).toEqual(['InProgress', 'InProgress', 'Terminating']);
  });
});

describe('the health check of prewarms for Argo CD', () => {
  test.for(Object.entries(TESTDATA))(
    'is tested with statuses that the operator writes: %s',
    async ([name, prewarm]) => {
      await expect(stringify(prewarm)).toMatchFileSnapshot(`../../${FOLDER}/testdata/${name}.yaml`);
    },
  );

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

  test('agrees with kstatus, except about what is suspended and about a scheduled run that has failed', async () => {
    const results = await judge(['lua', SCRIPT], prewarms);
    expect(results.map(({ status }, index) => `${status}: ${PREWARM_STATES[index]?.[1]}`)).toEqual(
      PREWARM_STATES.map(([result, state]) => `${DIFFERENT[state] ?? HEALTH[result]}: ${state}`),
    );
    for (const { message } of results) expect(message).not.toBe('');
  });

  test('waits for a prewarm without a status', async () => {
    expect(await judge(['lua', SCRIPT], [prewarmWith({})])).toEqual([
      { status: 'Progressing', message: 'Waiting for the operator' },
    ]);
  });

  test('is identical in the ConfigMap of Argo CD', () => {
    const { data } = parse(readFileSync(`${ARGO_CD}/argocd-cm.yaml`, 'utf8')) as {
      readonly data: Readonly<Record<string, string>>;
    };
    expect(data['resource.customizations.health.orcacache.dev_OrcaPrewarm']).toBe(readFileSync(SCRIPT, 'utf8'));
  });
});
