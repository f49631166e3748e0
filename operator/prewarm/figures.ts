/** The figures of a run in the status: exact ones for programs, rounded ones for people. Pure. */
import { roundQuantity } from '#crds/quantity.ts';
import type { OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import { timestamp } from '#operator/status/timestamp.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';

const FIELDS = [
  'listed',
  'objects',
  'bytes',
  'progress',
  'rate',
  'estimatedCompletionTime',
  'pin',
  'failures',
] as const;
type Field = (typeof FIELDS)[number];
export type Figures = Readonly<Record<Field, OrcaPrewarmStatus[Field] | undefined>>;

/** A run that would take longer has no useful estimate. */
const MAX_ESTIMATE_MS = 365 * 24 * 3_600_000;

/** Before the first report of a run. */
export const NO_FIGURES: Figures = Object.fromEntries(FIELDS.map((field) => [field, undefined])) as Figures;

/** The figures of the published status. */
export function publishedFigures(status: OrcaPrewarmStatus | undefined): Figures {
  return Object.fromEntries(FIELDS.map((field) => [field, status?.[field]])) as Figures;
}

/** `isMoving`: the run is in progress, so its rate and estimate are valid. */
export function figuresOf(report: PrewarmReport, isMoving: boolean, nowMs: number): Figures {
  const { listed, objects, bytes, bytesPerSecond, failures, pin } = report;
  return {
    listed,
    objects: { ...objects },
    bytes: { ...bytes },
    progress: progressOf(report),
    rate: isMoving ? `${roundQuantity(bytesPerSecond)}/s` : undefined,
    estimatedCompletionTime: isMoving ? estimateOf(report, nowMs) : undefined,
    pin: pin === 'none' ? undefined : pin === 'pinned' ? 'Pinned' : 'Refused',
    failures: failures.length === 0 ? undefined : failures.map(({ key, reason }) => ({ key, reason })),
  };
}

/** Without rate and estimate, which only a run in progress has. */
export function atRest(figures: Figures): Figures {
  return { ...figures, rate: undefined, estimatedCompletionTime: undefined };
}

/** `62 % 1.2/1.9Ti`; without a share until the total is final. */
function progressOf({ listed, bytes: { done, total } }: PrewarmReport): string {
  const sizes = shortenFirst(roundQuantity(done), roundQuantity(total));
  if (!listed) return `${sizes}+`;
  // 100 % only when all is done.
  const percent = total === 0 ? 100 : Math.min(Math.floor((done / total) * 100), 100);
  return `${percent} % ${sizes}`;
}

/** `1.2/1.9Ti` if both have the same unit. */
function shortenFirst(first: string, second: string): string {
  const unit = /[A-Za-z]*$/.exec(second)?.[0] ?? '';
  const isSame = unit === (/[A-Za-z]*$/.exec(first)?.[0] ?? '');
  return `${isSame ? first.slice(0, first.length - unit.length) : first}/${second}`;
}

function estimateOf({ listed, bytes, bytesPerSecond }: PrewarmReport, nowMs: number): string | undefined {
  const leftMs = ((bytes.total - bytes.done) / bytesPerSecond) * 1000;
  return listed && leftMs >= 0 && leftMs <= MAX_ESTIMATE_MS ? timestamp(nowMs + leftMs) : undefined;
}
