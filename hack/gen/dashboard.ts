/** charts/orcacache/files/dashboard.json: the Grafana dashboard, from a table of what each panel asks. */

interface Query {
  readonly expr: string;
  /** What a line is called; Grafana fills in the labels. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly description: string;
  /** One of Grafana's. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Grafana's grid is 24 columns wide; three panels beside each other can be read on a laptop. */
const GRID_COLUMNS = 24;
const PANELS_A_LINE = 3;
const PANEL_HEIGHT = 8;
/** Of the JSON model that these keys belong to; Grafana migrates older ones. */
const SCHEMA_VERSION = 39;

/** What the chart's PodMonitor gives the pods' samples. */
const OF = '{namespace=~"$namespace",orcacache=~"$orcacache"}';
const of = (more: string): string => `{namespace=~"$namespace",orcacache=~"$orcacache",${more}}`;
const CONTROLLER = '{controller="orcacache"}';

const rate = (metric: string, labels = OF): string => `rate(${metric}${labels}[$__rate_interval])`;
const sum = (expr: string, by = ''): string => (by === '' ? `sum(${expr})` : `sum by (${by}) (${expr})`);
const quantile = (share: number, metric: string, by = '', labels = OF): string =>
  `histogram_quantile(${share}, ${sum(rate(`${metric}_bucket`, labels), by === '' ? 'le' : `le, ${by}`)})`;
const one = (expr: string, legend: string): readonly Query[] => [{ expr, legend }];

export const ROWS: readonly Row[] = [
  {
    title: 'What clients get',
    panels: [
      {
        title: 'Requests',
        description: 'Of clients, by status.',
        unit: 'reqps',
        queries: one(sum(rate('orca_edge_requests_total'), 'code'), '{{code}}'),
      },
      {
        title: 'Bytes served',
        description: 'By where the pod had them from.',
        unit: 'Bps',
        queries: one(sum(rate('orca_served_bytes_total'), 'source'), '{{source}}'),
      },
      {
        title: 'First byte',
        description: 'From a request to its status line.',
        unit: 's',
        queries: [0.5, 0.9, 0.99].map((share) => ({
          expr: quantile(share, 'orca_edge_first_byte_seconds'),
          legend: `p${share * 100}`,
        })),
      },
    ],
  },
  {
    title: 'What it costs',
    panels: [
      {
        title: 'Share that the origin had to give',
        description: 'Of the bytes that clients got.',
        unit: 'percentunit',
        queries: one(`${sum(rate('orca_origin_bytes_total'))} / ${sum(rate('orca_served_bytes_total'))}`, 'share'),
      },
      {
        title: 'Duplication factor',
        description: 'Origin bytes for each committed one, but for sparse reads; 1 is each chunk once.',
        unit: 'none',
        queries: one(
          `(${sum(rate('orca_origin_bytes_total'))} - ${sum(rate('orca_sparse_bytes_total', of('kind="read"')))} + ` +
            `${sum(rate('orca_sparse_bytes_total', of('kind="reused"')))}) / ${sum(rate('orca_committed_bytes_total'))}`,
          'factor',
        ),
      },
      {
        title: 'Fills',
        description: 'By how they ended.',
        unit: 'ops',
        queries: one(sum(rate('orca_fills_total'), 'outcome'), '{{outcome}}'),
      },
    ],
  },
  {
    title: 'Origin and cachestore',
    panels: [
      {
        title: 'Origin requests',
        description: 'By operation and outcome.',
        unit: 'reqps',
        queries: one(sum(rate('orca_origin_requests_total'), 'operation, outcome'), '{{operation}} {{outcome}}'),
      },
      {
        title: 'Origin latency',
        description: 'To the last byte, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'orca_origin_request_seconds', 'operation'), '{{operation}}'),
      },
      {
        title: 'Origin slots',
        description: 'Requests at once: those that may be, that are, and that wait for their turn.',
        unit: 'none',
        queries: [
          { expr: sum(`orca_origin_slots${OF}`), legend: 'allowed' },
          { expr: sum(`orca_origin_running${OF}`), legend: 'running' },
          { expr: sum(`orca_origin_queued${OF}`), legend: 'waiting' },
        ],
      },
      {
        title: 'Cachestore requests',
        description: 'By operation and outcome.',
        unit: 'reqps',
        queries: one(sum(rate('orca_store_requests_total'), 'operation, outcome'), '{{operation}} {{outcome}}'),
      },
      {
        title: 'Cachestore latency',
        description: 'To the last byte, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'orca_store_request_seconds', 'operation'), '{{operation}}'),
      },
      {
        title: 'Not asked because it failed too often',
        description: 'Replicas that have given up on the cachestore, or on a bucket of the origin, for now.',
        unit: 'none',
        queries: one(sum(`orca_breaker_open${OF}`, 'name'), '{{name}}'),
      },
    ],
  },
  {
    title: 'Replicas',
    panels: [
      {
        title: 'Memory of chunks',
        description: 'Against the budget of all replicas.',
        unit: 'bytes',
        queries: [
          { expr: sum(`orca_memory_budget_bytes${OF}`), legend: 'budget' },
          { expr: sum(`orca_memory_window_bytes${OF}`), legend: 'streams' },
          { expr: sum(`orca_memory_fill_bytes${OF}`), legend: 'fills' },
          { expr: sum(`orca_memory_tier_bytes${OF}`), legend: 'kept' },
          { expr: sum(`orca_outbox_bytes${OF}`), legend: 'commits that wait' },
        ],
      },
      {
        title: 'Waiting for memory',
        description: 'Requests that wait for a part of the budget.',
        unit: 'none',
        queries: [
          { expr: sum(`orca_memory_waiting_started${OF}`), legend: 'under way' },
          { expr: sum(`orca_memory_waiting_new${OF}`), legend: 'new' },
        ],
      },
      {
        title: 'Peers',
        description: 'In the view of each replica.',
        unit: 'none',
        queries: one(`orca_peers${OF}`, '{{pod}}'),
      },
      {
        title: 'Fill requests of other replicas',
        description: 'By answer.',
        unit: 'reqps',
        queries: one(sum(rate('orca_peer_requests_total'), 'outcome'), '{{outcome}}'),
      },
      {
        title: 'Fall-throughs',
        description: 'A place that did not have a chunk or did not answer, so that the next was asked.',
        unit: 'ops',
        queries: one(sum(rate('orca_fall_throughs_total'), 'rung, reason'), '{{rung}} {{reason}}'),
      },
      {
        title: 'Event loop delay',
        description: '99th percentile, by replica.',
        unit: 's',
        queries: one(`nodejs_eventloop_lag_p99_seconds${OF}`, '{{pod}}'),
      },
    ],
  },
  {
    title: 'Operator',
    panels: [
      {
        title: 'Reconciles',
        description: 'By result.',
        unit: 'ops',
        queries: one(sum(rate('controller_runtime_reconcile_total', CONTROLLER), 'result'), '{{result}}'),
      },
      {
        title: 'Length of a reconcile',
        description: '99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'controller_runtime_reconcile_time_seconds', '', CONTROLLER), 'p99'),
      },
      {
        title: 'Caches that are not ready',
        description: 'By their condition Ready.',
        unit: 'none',
        queries: one(
          'sum by (namespace, name) (orcacache_condition{type="Ready",status!="True"})',
          '{{namespace}}/{{name}}',
        ),
      },
    ],
  },
];

export function dashboardJson(): string {
  return `${JSON.stringify(dashboard(), undefined, 2)}\n`;
}

function dashboard(): object {
  return {
    uid: 'orcacache',
    title: 'OrcaCache',
    tags: ['orcacache'],
    timezone: 'browser',
    editable: true,
    refresh: '30s',
    schemaVersion: SCHEMA_VERSION,
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        variable('namespace', 'Namespace', 'label_values(orca_peers, namespace)'),
        variable('orcacache', 'Cache', 'label_values(orca_peers{namespace=~"$namespace"}, orcacache)'),
      ],
    },
    panels: panels(),
  };
}

function variable(name: string, label: string, query: string): object {
  return {
    name,
    label,
    type: 'query',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    query,
    includeAll: true,
    multi: true,
    allValue: '.+',
    current: { text: ['All'], value: ['$__all'] },
    // When the time range changes: caches come and go.
    refresh: 2,
    sort: 1,
  };
}

function panels(): object[] {
  const made: object[] = [];
  const width = GRID_COLUMNS / PANELS_A_LINE;
  let y = 0;
  for (const { title, panels: members } of ROWS) {
    made.push({
      id: made.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: GRID_COLUMNS, h: 1 },
    });
    y += 1;
    for (const [index, member] of members.entries()) {
      const line = Math.floor(index / PANELS_A_LINE);
      const gridPos = { x: (index % PANELS_A_LINE) * width, y: y + line * PANEL_HEIGHT, w: width, h: PANEL_HEIGHT };
      made.push({ id: made.length + 1, ...panel(member), gridPos });
    }
    y += Math.ceil(members.length / PANELS_A_LINE) * PANEL_HEIGHT;
  }
  return made;
}

function panel({ title, description, unit, queries }: Panel): object {
  return {
    type: 'timeseries',
    title,
    description,
    datasource: { type: 'prometheus', uid: '${datasource}' },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint('A'.codePointAt(0)! + index),
      expr,
      legendFormat: legend,
    })),
  };
}
