/** Plots the results of each line as a self-contained SVG, for light and dark pages. Pure. */
import { LINE_IDS, type LineId, type Variant } from '#hack/bench.d/lines.ts';
import { BARE, BARE_WITH_CRC, limitInFigure, OURS } from '#hack/bench.d/targets.ts';
import { figureOf, formatFigure, LINE_TITLES } from './figures.ts';
import type { Results, Row } from './results.ts';

const WIDTH = 860;
const PADDING = 20;
const BAR = { x: 210, width: 490, height: 15, gap: 6 } as const;
const TITLE_HEIGHT = 46;
const GROUP_TITLE_HEIGHT = 24;
const GROUP_GAP = 12;
const LEGEND_HEIGHT = 24;
/** More than the height of a capital letter above the baseline, to center text on a bar. */
const BASELINE = 12;

/** Media queries let the picture follow the color scheme of the page. Both backgrounds are opaque. */
const STYLE = `
  .paper { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .value { stroke: #ffffff; stroke-width: 4; paint-order: stroke }
  .server { text-anchor: end; fill: #59636e }
  .ours { fill: #1a7f8e }
  .bare { fill: #9aa7b2 }
  .bare-crc { fill: #6e7b87 }
  .nginx { fill: #c9a227 }
  .other { fill: #a077c9 }
  .spread { stroke: #1f2328; stroke-width: 1; opacity: 0.6 }
  .target { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 4 2 }
  .axis { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .value { stroke: #0d1117 }
    .server { fill: #9198a1 }
    .ours { fill: #3fb8c9 }
    .bare { fill: #656c76 }
    .bare-crc { fill: #8b949e }
    .nginx { fill: #d4b14a }
    .other { fill: #b392f0 }
    .spread { stroke: #f0f6fc }
    .target { stroke: #ff7b72 }
    .axis { stroke: #3d444d }
  }
`;

/** File name → picture, one for each measured line. */
export function plotsOf({ rows }: Pick<Results, 'rows'>): Map<string, string> {
  const byLine = Map.groupBy(rows, ({ variant }) => variant.line);
  return new Map(
    LINE_IDS.flatMap((line) => {
      const ofLine = byLine.get(line);
      return ofLine === undefined ? [] : [[plotName(line), plotOf(line, ofLine)] as const];
    }),
  );
}

export function plotName(line: LineId): string {
  return `line-${line}.svg`;
}

function plotOf(line: LineId, rows: readonly Row[]): string {
  const groups = [...Map.groupBy(rows, ({ variant }) => variant.title).values()];
  const byUnit = Map.groupBy(groups, ([first]) => (first === undefined ? '' : figureOf(first.variant).unit));
  const body: string[] = [];
  let y = PADDING + TITLE_HEIGHT;
  let hasTarget = false;
  for (const group of groups) {
    const [first] = group;
    if (first === undefined) continue;
    const sharing = byUnit.get(figureOf(first.variant).unit) ?? [];
    const drawn = groupOf(first.variant, group, y, scaleOf(sharing.flat()));
    hasTarget ||= drawn.hasTarget;
    body.push(drawn.svg);
    y += drawn.height + GROUP_GAP;
  }
  const height = y + LEGEND_HEIGHT + PADDING / 2;
  const [first] = rows;
  const name = first === undefined ? '' : figureOf(first.variant).name;
  const title = `${line}: ${LINE_TITLES[line]} – ${name}, ${line === 'h' ? 'more' : 'less'} is better`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    `<text class="title" x="${PADDING}" y="${PADDING + 16}">${escaped(title)}</text>`,
    ...body,
    legend(y + 4, hasTarget),
    '</svg>\n',
  ].join('\n');
}

/** Pixels per unit, so that the longest bar, spread and target fit. */
function scaleOf(rows: readonly Row[]): number {
  const values = rows.flatMap(({ variant, samples }) => [
    ...samples.map((sample) => figureOf(variant).of(sample)),
    limitInFigure(variant, rows) ?? 0,
  ]);
  return BAR.width / Math.max(...values, Number.MIN_VALUE);
}

interface Drawn {
  readonly svg: string;
  readonly height: number;
  readonly hasTarget: boolean;
}

function groupOf(variant: Variant, rows: readonly Row[], top: number, scale: number): Drawn {
  const figure = figureOf(variant);
  const sorted = rows.toSorted((a, b) => orderOf(a.target) - orderOf(b.target));
  const first = top + GROUP_TITLE_HEIGHT;
  const bars = sorted.map((row, index) => {
    const y = first + index * (BAR.height + BAR.gap);
    const value = figure.of(row.median);
    const values = row.samples.map((sample) => figure.of(sample));
    const ends = [Math.min(...values), Math.max(...values)].map((end) => BAR.x + end * scale);
    const middle = y + BAR.height / 2;
    const longest = Math.max(BAR.x + value * scale, ends[1] ?? 0);
    const bar = [
      `<text class="server" x="${BAR.x - 10}" y="${y + BASELINE}">${escaped(row.target)}</text>`,
      `<rect class="${colorOf(row.target)}" x="${BAR.x}" y="${y}" width="${px(value * scale)}" height="${BAR.height}" rx="2"/>`,
      ...(values.length > 1
        ? [
            `<path class="spread" d="M${px(ends[0])} ${middle}H${px(ends[1])}M${px(ends[0])} ${middle - 4}v8M${px(ends[1])} ${middle - 4}v8"/>`,
          ]
        : []),
    ].join('\n');
    // With a halo, and above the line of the target.
    const label = `<text class="value" x="${px(longest + 8)}" y="${y + BASELINE}">${escaped(formatFigure(figure, value))}</text>`;
    return { bar, label };
  });
  const height = GROUP_TITLE_HEIGHT + sorted.length * (BAR.height + BAR.gap);
  const limit = limitInFigure(variant, rows);
  const end = top + height;
  const x = px(BAR.x + (limit ?? 0) * scale);
  return {
    svg: [
      `<text class="group" x="${PADDING}" y="${top + 14}">${escaped(variant.title)}</text>`,
      `<path class="axis" d="M${BAR.x} ${first - 4}V${end - 2}"/>`,
      ...bars.map(({ bar }) => bar),
      ...(limit === undefined ? [] : [`<path class="target" d="M${x} ${first - 5}V${end - 1}"/>`]),
      ...bars.map(({ label }) => label),
    ].join('\n'),
    height,
    hasTarget: limit !== undefined,
  };
}

function legend(y: number, hasTarget: boolean): string {
  const middle = y + 10;
  const spread = `<path class="spread" d="M${BAR.x} ${middle}h24M${BAR.x} ${middle - 4}v8M${BAR.x + 24} ${middle - 4}v8"/><text x="${BAR.x + 32}" y="${y + 14}">slowest and fastest run</text>`;
  const target = `<path class="target" d="M${BAR.x + 230} ${y}v20"/><text x="${BAR.x + 240}" y="${y + 14}">target</text>`;
  return hasTarget ? `${spread}\n${target}` : spread;
}

/** From top to bottom; a server that begins with the name. */
const SERVERS: readonly (readonly [name: string, color: string])[] = [
  [OURS, 'ours'],
  [BARE_WITH_CRC, 'bare-crc'],
  [BARE, 'bare'],
  ['nginx', 'nginx'],
  ['', 'other'],
];

function orderOf(server: string): number {
  return SERVERS.findIndex(([name]) => server.startsWith(name));
}

function colorOf(server: string): string {
  return SERVERS[orderOf(server)]?.[1] ?? 'other';
}

function px(value: number | undefined): string {
  return String(Math.round((value ?? 0) * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
