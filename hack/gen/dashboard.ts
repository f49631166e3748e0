/** Generates charts/orcacache/files/dashboard.json, the Grafana dashboard, from a table of panels and their queries. */

interface Query {
  readonly expr: string;
  /** Name of a line; Grafana fills in the labels. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly description: string;
  /** Identifier of a Grafana unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Width of Grafana's grid. Three panels per line are readable on a laptop. */
const GRID_COLUMNS = 24;
const PANELS_PER_LINE = 3;
const PANEL_HEIGHT = 8;
/** Version of Grafana's JSON model in use here; newer versions of Grafana migrate it. */
const SCHEMA_VERSION = 39;

/** Selects the samples of the chosen caches by the labels that the chart's PodMonitor sets. */
const SELECTED = '{namespace=~"$namespace",orcacache=~"$orcacache"}';
const selected = (more: string): string => `{namespace=~"$namespace",orcacache=~"$orcacache",${more}}`;
const CONTROLLER = '{controller=~"orcacache|orcaprewarm|schedulinggate"}';

const rate = (metric: string, labels = SELECTED): string => `rate(${metric}${labels}[$__rate_interval])`;
const sum = (expr: string, by = ''): string => (by === '' ? `sum(${expr})` : `sum by (${by}) (${expr})`);
const quantile = (share: number, metric: string, by = '', labels = SELECTED): string =>
  `histogram_quantile(${share}, ${sum(rate(`${metric}_bucket`, labels), by === '' ? 'le' : `le, ${by}`)})`;
/** What clients caused minus what the cache caused at the origin, by bucket, in the dashboard's time range. */
const difference = (clients: string, origin: string): string =>
  `${sum(`increase(${clients}${SELECTED}[$__range])`, 'bucket')} - ${sum(`increase(${origin}${SELECTED}[$__range])`, 'bucket')}`;
/** Each replica reports the whole cachestore, some of them a minute late. */
const whole = (metric: string): string => `max by (namespace, orcacache) (${metric}${SELECTED})`;
const price = (unit: string): string => `scalar(max(orca_origin_price_dollars${selected(`unit="${unit}"`)}))`;
const one = (expr: string, legend: string): readonly Query[] => [{ expr, legend }];

export const ROWS: readonly Row[] = [
  {
    title: 'Clients',
    panels: [
      {
        title: 'Requests',
        description: 'Client requests by status.',
        unit: 'reqps',
        queries: one(sum(rate('orca_edge_requests_total'), 'code'), '{{code}}'),
      },
      {
        title: 'Bytes served',
        description: 'Bytes served to clients, by source.',
        unit: 'Bps',
        queries: one(sum(rate('orca_served_bytes_total'), 'source'), '{{source}}'),
      },
      {
        title: 'Time to first byte',
        description: 'From the request to the status line of the response.',
        unit: 's',
        queries: [0.5, 0.9, 0.99].map((share) => ({
          expr: quantile(share, 'orca_edge_first_byte_seconds'),
          legend: `p${share * 100}`,
        })),
      },
    ],
  },
  {
    title: 'Efficiency',
    panels: [
      {
        title: 'Origin share',
        description: 'Bytes from the origin per byte served to clients; lower is better.',
        unit: 'percentunit',
        queries: one(`${sum(rate('orca_origin_bytes_total'))} / ${sum(rate('orca_served_bytes_total'))}`, 'share'),
      },
      {
        title: 'Duplication factor',
        description:
          'Bytes from the origin per committed byte, without sparse reads; 1 means that each chunk was fetched once.',
        unit: 'none',
        queries: one(
          `(${sum(rate('orca_origin_bytes_total'))} - ${sum(rate('orca_sparse_bytes_total', selected('kind="read"')))} + ` +
            `${sum(rate('orca_sparse_bytes_total', selected('kind="reused"')))}) / ${sum(rate('orca_committed_bytes_total'))}`,
          'factor',
        ),
      },
      {
        title: 'Fills',
        description: 'Fills by outcome.',
        unit: 'ops',
        queries: one(sum(rate('orca_fills_total'), 'outcome'), '{{outcome}}'),
      },
    ],
  },
  {
    title: 'Savings',
    panels: [
      {
        title: 'Saved bytes',
        description: 'Bytes served to clients minus bytes from the origin, by bucket.',
        unit: 'Bps',
        queries: one(
          `${sum(rate('orca_bucket_served_bytes_total'), 'bucket')} - ${sum(rate('orca_bucket_origin_bytes_total'), 'bucket')}`,
          '{{bucket}}',
        ),
      },
      {
        title: 'Saved',
        description:
          'Dollars that the origin would have charged for the same requests and bytes in the selected time, by bucket; ' +
          'empty without prices in spec.costs.',
        unit: 'currencyUSD',
        queries: one(
          `(${difference('orca_bucket_served_bytes_total', 'orca_bucket_origin_bytes_total')}) / 1e9 * ` +
            `${price('gigabyte')} + (${difference('orca_bucket_requests_total', 'orca_bucket_origin_requests_total')}) ` +
            `/ 1000 * ${price('1000_requests')}`,
          '{{bucket}}',
        ),
      },
      {
        title: 'Requests by bucket',
        description: 'Client requests by bucket.',
        unit: 'reqps',
        queries: one(sum(rate('orca_bucket_requests_total'), 'bucket'), '{{bucket}}'),
      },
    ],
  },
  {
    title: 'Origin and cachestore',
    panels: [
      {
        title: 'Origin requests',
        description: 'Origin requests by operation and outcome.',
        unit: 'reqps',
        queries: one(sum(rate('orca_origin_requests_total'), 'operation, outcome'), '{{operation}} {{outcome}}'),
      },
      {
        title: 'Origin latency',
        description: 'Time to the last byte of an origin request, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'orca_origin_request_seconds', 'operation'), '{{operation}}'),
      },
      {
        title: 'Origin slots',
        description: 'Concurrent origin requests: the limit, those running, and those waiting for a slot.',
        unit: 'none',
        queries: [
          { expr: sum(`orca_origin_slots${SELECTED}`), legend: 'limit' },
          { expr: sum(`orca_origin_running${SELECTED}`), legend: 'running' },
          { expr: sum(`orca_origin_queued${SELECTED}`), legend: 'waiting' },
        ],
      },
      {
        title: 'Cachestore requests',
        description: 'Cachestore requests by operation and outcome.',
        unit: 'reqps',
        queries: one(sum(rate('orca_store_requests_total'), 'operation, outcome'), '{{operation}} {{outcome}}'),
      },
      {
        title: 'Cachestore latency',
        description: 'Time to the last byte of a cachestore request, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'orca_store_request_seconds', 'operation'), '{{operation}}'),
      },
      {
        title: 'Open circuit breakers',
        description:
          'Number of replicas that currently send no requests to the cachestore or to a bucket of the origin.',
        unit: 'none',
        queries: one(sum(`orca_breaker_open${SELECTED}`, 'name'), '{{name}}'),
      },
    ],
  },
  {
    title: 'Space in the cachestore',
    panels: [
      {
        title: 'Used space',
        description: 'Size of the chunks, of those that are pinned, and the limit.',
        unit: 'bytes',
        queries: [
          { expr: whole('orca_store_used_bytes'), legend: '{{orcacache}} used' },
          { expr: whole('orca_store_pinned_bytes'), legend: '{{orcacache}} pinned' },
          { expr: whole('orca_store_capacity_bytes'), legend: '{{orcacache}} capacity' },
        ],
      },
      {
        title: 'Evicted bytes',
        description:
          'Bytes of evicted chunks by reason, and bytes that were fetched again within a day of their eviction.',
        unit: 'Bps',
        queries: [
          { expr: sum(rate('orca_store_evicted_bytes_total'), 'reason'), legend: '{{reason}}' },
          { expr: sum(rate('orca_store_refilled_bytes_total')), legend: 'fetched again' },
        ],
      },
      {
        title: 'Age at eviction',
        description:
          'How long chunks have not been read when they are evicted; empty while nothing is evicted. Below an hour, ' +
          'clients read more than the cachestore holds.',
        unit: 's',
        queries: one(whole('orca_store_cutoff_age_seconds'), '{{orcacache}}'),
      },
      {
        title: 'Chunks',
        description: 'Number of chunks in the cachestore.',
        unit: 'none',
        queries: one(whole('orca_store_chunks'), '{{orcacache}}'),
      },
      {
        title: 'Age of the sweep',
        description: 'Time since the part of the cachestore that was not listed for the longest time was listed.',
        unit: 's',
        queries: [
          { expr: whole('orca_sweep_age_seconds'), legend: '{{orcacache}} age' },
          { expr: whole('orca_sweep_interval_seconds'), legend: '{{orcacache}} interval' },
        ],
      },
      {
        title: 'Duration of sweeps',
        description: 'Time to list one of the 256 parts and to delete what is evicted there, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'orca_sweep_duration_seconds'), 'p99'),
      },
    ],
  },
  {
    title: 'Replicas',
    panels: [
      {
        title: 'Chunk memory',
        description: 'Memory in use for chunks and the budget, summed over all replicas.',
        unit: 'bytes',
        queries: [
          { expr: sum(`orca_memory_budget_bytes${SELECTED}`), legend: 'budget' },
          { expr: sum(`orca_memory_window_bytes${SELECTED}`), legend: 'streams' },
          { expr: sum(`orca_memory_fill_bytes${SELECTED}`), legend: 'fills' },
          { expr: sum(`orca_memory_tier_bytes${SELECTED}`), legend: 'memory tier' },
          { expr: sum(`orca_outbox_bytes${SELECTED}`), legend: 'pending commits' },
        ],
      },
      {
        title: 'Waiting for memory',
        description: 'Responses and requests that wait for a share of the memory budget.',
        unit: 'none',
        queries: [
          { expr: sum(`orca_memory_waiting_started${SELECTED}`), legend: 'started responses' },
          { expr: sum(`orca_memory_waiting_new${SELECTED}`), legend: 'new requests' },
        ],
      },
      {
        title: 'Peers',
        description: 'Number of replicas in the peer list of each replica.',
        unit: 'none',
        queries: one(`orca_peers${SELECTED}`, '{{pod}}'),
      },
      {
        title: 'Fill requests from other replicas',
        description: 'Fill requests by outcome.',
        unit: 'reqps',
        queries: one(sum(rate('orca_peer_requests_total'), 'outcome'), '{{outcome}}'),
      },
      {
        title: 'Fallbacks',
        description: 'Chunk lookups that a source could not answer, so that the next source was tried.',
        unit: 'ops',
        queries: one(sum(rate('orca_source_fallbacks_total'), 'source, reason'), '{{source}} {{reason}}'),
      },
      {
        title: 'Event loop delay',
        description: 'Delay of the event loop, 99th percentile by replica.',
        unit: 's',
        queries: one(`nodejs_eventloop_lag_p99_seconds${SELECTED}`, '{{pod}}'),
      },
    ],
  },
  {
    title: 'Prewarms',
    panels: [
      {
        title: 'Running prewarms',
        description: 'Runs of prewarms that are in progress.',
        unit: 'none',
        queries: one(sum(`orca_prewarms${SELECTED}`, 'namespace, orcacache'), '{{namespace}}/{{orcacache}}'),
      },
      {
        title: 'Bytes from the origin for prewarms',
        description: 'The rate of all prewarms together; part of the bytes from the origin.',
        unit: 'Bps',
        queries: one(
          sum(rate('orca_prewarm_origin_bytes_total'), 'namespace, orcacache'),
          '{{namespace}}/{{orcacache}}',
        ),
      },
      {
        title: 'Prewarms that have failed',
        description: 'Prewarms whose newest run has failed or cannot start.',
        unit: 'none',
        queries: one(
          'max by (namespace, name) (orcaprewarm_condition{namespace=~"$namespace",type=~"Failed|Stalled",status="True"})',
          '{{namespace}}/{{name}}',
        ),
      },
    ],
  },
  {
    title: 'Operator',
    panels: [
      {
        title: 'Reconciles',
        description: 'Reconciles by controller and result.',
        unit: 'ops',
        queries: one(
          sum(rate('controller_runtime_reconcile_total', CONTROLLER), 'controller, result'),
          '{{controller}} {{result}}',
        ),
      },
      {
        title: 'Reconcile duration',
        description: 'Duration of a reconcile, 99th percentile.',
        unit: 's',
        queries: one(quantile(0.99, 'controller_runtime_reconcile_time_seconds', '', CONTROLLER), 'p99'),
      },
      {
        title: 'Caches that are not ready',
        description: 'Caches whose Ready condition is not True.',
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
    // 2: reload the values when the time range changes, because caches are created and deleted.
    refresh: 2,
    sort: 1,
  };
}

function panels(): object[] {
  const made: object[] = [];
  const width = GRID_COLUMNS / PANELS_PER_LINE;
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
      const line = Math.floor(index / PANELS_PER_LINE);
      const gridPos = { x: (index % PANELS_PER_LINE) * width, y: y + line * PANEL_HEIGHT, w: width, h: PANEL_HEIGHT };
      made.push({ id: made.length + 1, ...panel(member), gridPos });
    }
    y += Math.ceil(members.length / PANELS_PER_LINE) * PANEL_HEIGHT;
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
