/** How `prewarm` and `pin` end: the result, and how to follow a prewarm that is still running. */
import { PREWARM } from '#crds/names.ts';
import type { CommandContext } from '#cache/cli/frame/command.ts';
import { printResult } from '#cache/cli/output/print.ts';
import { formatTable, printable } from '#cache/cli/output/table.ts';
import { formatBytes, formatDate, formatDuration } from '#cache/cli/output/units.ts';
import { openLive } from './live.ts';
import { openProgress } from './progress.ts';
import { jsonOf, type PrewarmState } from './state.ts';
import { waitForPrewarm } from './wait.ts';
import { durationOf } from './manifest.ts';

/** As a shell reports a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const FAILED = 1;

/** Resolves with the exit code. */
export async function waitAndReport(context: CommandContext, name: string): Promise<number> {
  const { io, clock, signal, flags } = context;
  const timeout = flags.text('timeout') ?? '';
  const timeoutMs = durationOf('--timeout', timeout);
  const cluster = await context.connect();
  const display = openProgress(io);
  const refine = io.showsProgress ? openLive({ cluster, clock, signal }) : async (state: PrewarmState) => state;
  const waited = await waitForPrewarm({ prewarms: cluster.prewarms, name, clock, signal, timeoutMs, display, refine });
  const { end, state } = waited;
  if (end === 'interrupted' || end === 'late') {
    io.err(`${end === 'late' ? `Not complete within ${timeout}: ` : ''}${howToFollow(name, cluster.namespace)}`);
    return end === 'late' ? FAILED : INTERRUPTED;
  }
  if (state === undefined) return FAILED;
  printState(context, state);
  return end === 'complete' ? 0 : FAILED;
}

export function printState(context: CommandContext, state: PrewarmState): void {
  printResult(context, { kind: 'Prewarm', data: jsonOf(state), text: () => textOf(state, context.clock.date()) });
}

/** As kubectl names a resource. */
export function resourceName(name: string): string {
  return `${PREWARM.singular}.${PREWARM.crdName.slice(PREWARM.crdName.indexOf('.') + 1)}/${name}`;
}

/** The options of the namespace are needed where it is not that of the context. */
export function howToFollow(name: string, namespace: string): string {
  const where = `${name} -n ${namespace}`;
  return [
    `${name} continues in the cluster.`,
    `  Watch it again:     kubectl orca prewarm --wait ${where}`,
    `  Wait in a script:   kubectl wait --for=condition=Complete --timeout=24h ${PREWARM.singular}/${where}`,
    `  Stop it:            kubectl delete ${PREWARM.singular} ${where}`,
    '',
  ].join('\n');
}

function textOf(state: PrewarmState, nowMs: number): string {
  const { name, phase, failures, objects, message } = state;
  const lines = [`${resourceName(name)} ${headline(state, nowMs)}`];
  if (message !== '' && phase !== 'Complete') lines.push(`  ${printable(message)}`);
  if (state.pin === 'Pinned') lines.push('  pinned: kubectl orca pins');
  if (state.pin === 'Refused') lines.push(`  NOT pinned: kubectl describe ${PREWARM.singular} ${name} has the reason`);
  const text = `${lines.join('\n')}\n`;
  if (failures.length === 0) return text;
  const first = objects.failed > failures.length ? `, the first ${failures.length}` : '';
  const table = formatTable(
    ['REASON', 'KEY'],
    failures.map(({ reason, key }) => [reason, key]),
  );
  return `${text}\n${objects.failed} of ${objects.total} objects failed${first}:\n${table}`;
}

function headline(state: PrewarmState, nowMs: number): string {
  const { phase, objects, bytes, startMs, completionMs, nextRunMs } = state;
  const parts = `${formatBytes(bytes.fromOrigin)} from the origin, ${formatBytes(bytes.alreadyStored)} already stored`;
  const done = `${objects.done} of ${objects.total} objects, ${formatBytes(bytes.done)} (${parts})`;
  const time = startMs === undefined ? '' : ` in ${formatDuration((completionMs ?? nowMs) - startMs)}`;
  if (phase === 'Complete') return `complete: ${done}${time}`;
  if (phase === 'Scheduled') return `${state.runs === 0 ? 'scheduled' : `complete: ${done}`}${next(nextRunMs)}`;
  return objects.total === 0 ? phase.toLowerCase() : `${phase.toLowerCase()}: ${done}${time}`;
}

function next(nextRunMs: number | undefined): string {
  return nextRunMs === undefined ? '' : `; next run at ${formatDate(nextRunMs)}`;
}
