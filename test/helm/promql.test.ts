import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROWS } from '#hack/gen/dashboard.ts';
import { judge } from './judge.ts';

const { groups } = parse(readFileSync('charts/orcacache/files/alerts.yaml', 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
};

/** Replaces Grafana's variables, as Grafana does, by a duration and a list of names. */
const filledIn = (expr: string): string =>
  expr.replaceAll(/\$__(rate_interval|range)/g, '5m').replaceAll(/\$(namespace|orcacache)/g, 'a|b');

test('Prometheus accepts every expression of the alerts and the dashboard', async () => {
  const alerts = groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
  const panels = ROWS.flatMap(({ panels: members }) =>
    members.flatMap(({ queries }) => queries.map(({ expr }) => expr)),
  );
  const expressions = [...alerts, ...panels.map(filledIn)];
  const results = await judge(['promql'], expressions);
  expect(
    results.map(({ status, message }, index) => (status === 'Valid' ? status : `${expressions[index]}: ${message}`)),
  ).toEqual(expressions.map(() => 'Valid'));
});

test('Prometheus rejects an invalid expression', async () => {
  expect(await judge(['promql'], ['sum(rate(orca_peers[5m])'])).toEqual([
    { status: 'Invalid', message: expect.stringContaining('unclosed') as string },
  ]);
});
