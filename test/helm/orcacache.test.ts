import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { stderrOf, helm, manifests, MONITORING, template } from './helm.ts';
import { isUsed } from './is-used.ts';
import { leaves, type Tree } from './values.ts';

const CHART = 'charts/orcacache';
const VALUE_SETS = readdirSync(`${CHART}/ci`);
const OPAQUE = new Set(['podSecurityContext', 'securityContext', 'resources']);
/** The CRD is the same in every render and has a golden file of its own. */
const NO_CRD = ['--set', 'crds.install=false'];
/** The dashboard is the same in every render that contains it, so golden files omit it. */
const DASHBOARD = /^ {2}orcacache\.json: \|-\n(?: {4}.*\n)+/m;

interface Alert {
  readonly annotations: object;
}

const setOf = (name: string): Tree => (parse(readFileSync(`${CHART}/ci/${name}`, 'utf8')) ?? {}) as Tree;
const keys = [...leaves(parse(readFileSync(`${CHART}/values.yaml`, 'utf8')), OPAQUE)];

const kinds = async (...args: readonly string[]): Promise<string[]> =>
  manifests(await template(CHART, ...NO_CRD, ...args)).map(({ kind }) => kind);

describe('the chart orcacache', () => {
  test.for(VALUE_SETS)('passes helm lint --strict with %s', async (values) => {
    await helm('lint', '--strict', CHART, '-f', `${CHART}/ci/${values}`);
  });

  test.for(VALUE_SETS)('renders the golden file with %s', async (values) => {
    const rendered = await template(CHART, '-f', `${CHART}/ci/${values}`, ...NO_CRD, ...MONITORING);
    const golden = values.replace('-values.yaml', '.yaml');
    await expect(rendered.replace(DASHBOARD, '  orcacache.json: …\n')).toMatchFileSnapshot(
      `../golden/charts/orcacache/${golden}`,
    );
  });

  test.for(VALUE_SETS)('gives every object a unique name with %s', async (values) => {
    const made = manifests(await template(CHART, '-f', `${CHART}/ci/${values}`, ...MONITORING));
    const names = made.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  test.for(keys.map((path) => path.join('.')))(
    'uses the value %s: some file of ci/ sets it and the output depends on it',
    async (key) => {
      expect(await isUsed(CHART, VALUE_SETS.map(setOf), key.split('.'))).toBe(true);
    },
  );

  test('renders for the oldest supported version of Kubernetes and rejects older ones', async () => {
    await template(CHART, '--kube-version', '1.29.0');
    expect(await stderrOf(template(CHART, '--kube-version', '1.28.15'))).toContain('kubeVersion');
  });

  test.for([
    ['crds.install=false', 0, 0],
    ['crds.keep=true', 2, 2],
    ['crds.keep=false', 2, 0],
  ] as const)('with %s renders %i CRDs, %i of them with the keep policy', async ([value, crds, kept]) => {
    const rendered = await template(CHART, '--set', value);
    expect(rendered.match(/^kind: CustomResourceDefinition$/gm) ?? []).toHaveLength(crds);
    expect(rendered.match(/helm[.]sh\/resource-policy: keep/g) ?? []).toHaveLength(kept);
  });

  test('renders with the values of a release that had no scheduling gates', async () => {
    const rendered = await template(CHART, '--set', 'schedulingGates=null');
    expect(rendered).toContain('- name: SCHEDULING_GATES\n              value: "false"');
  });

  test('lets the operator patch pods only with scheduling gates', async () => {
    const patched = async (...more: readonly string[]): Promise<number> =>
      (await template(CHART, ...more)).match(/resources: \[pods\]\n +verbs: \[patch\]/g)?.length ?? 0;
    expect(await patched()).toBe(0);
    expect(await patched('--set', 'schedulingGates.enabled=true')).toBe(1);
  });

  test('rejects a misspelt value', async () => {
    expect(await stderrOf(template(CHART, '--set', 'logLevl=debug'))).toContain('logLevl');
  });

  test('renders monitors and rules only if the Prometheus operator is installed', async () => {
    const values = ['-f', `${CHART}/ci/monitoring-values.yaml`];
    const monitoring = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule'];
    expect(await kinds(...values, ...MONITORING)).toEqual(expect.arrayContaining(monitoring));
    const bare = await kinds(...values);
    for (const kind of monitoring) expect(bare).not.toContain(kind);
  });

  test('lists skipped monitors and rules in the notes', async () => {
    const notes = (...more: readonly string[]): Promise<string> =>
      helm('install', 'orca', CHART, '--dry-run=client', '-f', `${CHART}/ci/monitoring-values.yaml`, ...more);
    expect(await notes()).toContain(
      'skipped, because the cluster does not have their API: ServiceMonitor, PodMonitor, PrometheusRule',
    );
  });

  test('uses the configured runbook URL in alerts', async () => {
    const rendered = await template(CHART, '-f', `${CHART}/ci/monitoring-values.yaml`, ...MONITORING);
    expect(rendered).toContain('runbook_url: https://wiki.example.org/orcacache#orcacacheerrors');
    expect(rendered).not.toContain('runbook_url: docs/');
  });

  test('alerts have no runbook URL unless one is configured', async () => {
    const values = ['-f', `${CHART}/ci/monitoring-values.yaml`, '--set', 'prometheusRule.runbookUrl='];
    const rule = manifests(await template(CHART, ...values, ...MONITORING)).find(
      ({ kind }) => kind === 'PrometheusRule',
    );
    const { groups } = rule!['spec'] as { readonly groups: readonly { readonly rules: readonly Alert[] }[] };
    const annotations = groups.flatMap(({ rules }) => rules.map((alert) => Object.keys(alert.annotations).toSorted()));
    expect(annotations.length).toBeGreaterThan(15);
    for (const names of annotations) expect(names).toEqual(['description', 'summary']);
  });

  test('leaves user and group to the platform if their values are null', async () => {
    const unset = ['podSecurityContext.runAsUser=null', 'podSecurityContext.runAsGroup=null'];
    const rendered = await template(CHART, ...NO_CRD, ...unset.flatMap((value) => ['--set', value]));
    expect(rendered).not.toMatch(/runAsUser|runAsGroup|fsGroup/);
    expect(rendered).toContain('runAsNonRoot: true');
  });

  test('truncates long names to the limits of Kubernetes', async () => {
    const long = 'a-very-long-name-that-somebody-thought-would-still-be-a-good-idea';
    const made = manifests(await template(CHART, '--set', `fullnameOverride=${long.slice(0, 63)}`, ...MONITORING));
    // The name of a Role need not be a DNS label.
    const names = made
      .filter(({ kind }) => !/Role(Binding)?$/.test(kind))
      .map(({ metadata }) => metadata.name)
      .filter((name) => name.startsWith('a-very'));
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])$/);
  });
});
