import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboardJson, ROWS } from '#hack/gen/dashboard.ts';

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
}

const groups = (
  parse(readFileSync('charts/orcacache/files/alerts.yaml', 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly Alert[] }[];
  }
).groups;
const alerts = groups.flatMap(({ rules }) => rules);
const runbook = readFileSync('docs/operations/alerts.md', 'utf8');
const page = readFileSync('docs/reference/metrics.md', 'utf8');
const queries = ROWS.flatMap(({ panels }) =>
  panels.flatMap(({ title, queries: members }) => members.map(({ expr }) => [title, expr] as const)),
);

/** Metric name → its labels, according to the documentation. */
const documented = new Map(
  [...page.matchAll(/^\| `([\w:]+)` \| ([^|]*)\|/gm)].map(([, name = '', labels = '']) => [
    name,
    [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  ]),
);
/** Labels that Prometheus, the chart's monitors or a query itself add. */
const ADDED = ['namespace', 'pod', 'orcacache', 'le', 'epoch'];
const HISTOGRAM = /_(bucket|sum|count)$/;

/** The project's metrics in an expression, each with the labels that its selector uses. */
function* selectedMetrics(expr: string): Generator<readonly [name: string, labels: readonly string[]]> {
  for (const [, name = '', selector = ''] of expr.matchAll(/\b([a-z]+_[a-z_]+[a-z])\b(?!\s*\()(\{[^}]*\})?/g))
    if (/^(orca|controller_runtime|workqueue|rest_client)/.test(name))
      yield [name, [...selector.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label)];
}

describe('the queries of alerts and dashboard', () => {
  test.for([...alerts.map(({ alert, expr }) => [alert, expr] as const), ...queries])(
    '%s uses only documented metrics and labels',
    ([, expr]) => {
      for (const [name, labels] of selectedMetrics(expr)) {
        const known = documented.get(name) ?? documented.get(name.replace(HISTOGRAM, ''));
        const unknown = labels.filter((label) => ![...ADDED, ...(known ?? [])].includes(label));
        expect({ name, isKnown: known !== undefined, unknown }).toEqual({ name, isKnown: true, unknown: [] });
      }
    },
  );

  test('use at least one metric of the project, with two exceptions', () => {
    const others = [...alerts.map(({ expr }) => expr), ...queries.map(([, expr]) => expr)].filter(
      (expr) => [...selectedMetrics(expr)].length === 0,
    );
    // One uses a metric of Prometheus, the other one of Node.js.
    expect(others).toEqual([expect.stringContaining('up{'), expect.stringContaining('nodejs_eventloop')]);
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }
  const { panels } = JSON.parse(dashboardJson()) as { readonly panels: readonly Panel[] };

  test('gives every panel a unique id, title and position', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)} ${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

describe('the alerts', () => {
  test.for(alerts.map((alert) => [alert.alert, alert] as const))(
    '%s has a summary, a description and a section in the runbook',
    ([name, alert]) => {
      expect(alert.annotations.runbook_url).toBe(`docs/operations/alerts.md#${name.toLowerCase()}`);
      expect(runbook).toContain(`\n## ${name}\n`);
      expect(alert.annotations.summary).not.toBe('');
      expect(alert.annotations.description).not.toBe('');
    },
  );

  test.for(alerts.map((alert) => [alert.alert, alert] as const))('%s has a duration and a severity', ([, alert]) => {
    expect(alert.for).toMatch(/^\d+[mh]$/);
    expect(['info', 'warning', 'critical']).toContain(alert.labels.severity);
  });

  test('match the sections of the runbook', () => {
    const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual(alerts.map(({ alert }) => alert));
  });
});
