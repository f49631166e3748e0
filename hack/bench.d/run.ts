/** Measures the chosen lines. */
import { startBare } from './bare-target.ts';
import { cpuLimits, removeGroups } from './cpu-limit.ts';
import { openEnvironment, type Base, type Target } from './environment.ts';
import type { Setup, Variant } from './lines.ts';
import { commitOf, describeMachine } from './machine.ts';
import { measure, readAll, warmTag, warmUp } from './measure.ts';
import { startNginx } from './nginx-target.ts';
import type { Options } from './options.ts';
import { rowOf, type Results, type Row } from './report/results.ts';
import type { Sample } from './sample.ts';
import { startSynthetic } from './synthetic.ts';
import { VARIANTS } from './variants.ts';

/** What the lines share. `stack` owns it. */
export async function openBase(
  stack: AsyncDisposableStack,
  options: Options,
  folder: string,
  checkout: string,
): Promise<Base> {
  const origin = stack.use(await startSynthetic(options.binFolder));
  const isAlone = options.profile || options.quick;
  const nginx =
    options.nginx === undefined || isAlone ? undefined : stack.use(await startNginx(options.nginx, folder, origin.url));
  const bare =
    options.bare && !isAlone
      ? stack.use(await startBare(options.binFolder, folder, origin.url, chosenBy(options))).targets
      : [];
  return { options, folder, origin, nginx, bare, checkout };
}

export interface Progress {
  /** Before the measurements of this work. */
  started(variant: Variant): void;
  /** After them, also if a later one fails. */
  measured(rows: readonly Row[]): void;
}

/** Results without rows: `progress` receives them. */
export function emptyResults({ options, checkout }: Base): Results {
  return {
    format: 1,
    date: new Date().toISOString().slice(0, 16),
    ...(commitOf(checkout) ?? { commit: undefined, isChanged: false }),
    machine: describeMachine(options.nginx),
    options: { repeats: options.repeats, durationS: options.durationS, store: options.store },
    rows: [],
    notMeasured: chosenBy(options)
      .filter(isImpossible)
      .map(({ line, title }) => ({ line, title, reason: 'no permission to create a control group: run it as root' })),
  };
}

export async function measureAll(base: Base, variants: readonly Variant[], progress: Progress): Promise<void> {
  const warmed = new Set<string>();
  const possible = variants.filter((variant) => !isImpossible(variant));
  for (const [setup, ofSetup] of groupedBySetup(possible)) {
    {
      await using environment = await openEnvironment(base, setup);
      for (const variant of ofSetup) {
        progress.started(variant);
        const targets = environment.targets.filter((target) => target.supports(variant));
        if (variant.state === 'warm') for (const target of targets) await prepare(base, target, variant, warmed);
        progress.measured(await measureVariant(base, targets, variant));
        const ended = environment.caches.flatMap(({ children }) => children).find(({ hasEnded }) => hasEnded);
        if (ended !== undefined) throw new Error(`the cache has exited: ${ended.recentOutput()}`);
      }
    }
    removeGroups();
  }
}

export function chosenBy({ lines, only }: Options): Variant[] {
  return VARIANTS.filter(({ line, title }) => lines.includes(line) && title.includes(only));
}

/** Number of cold measurements so far; each one reads different objects. */
let serial = 0;

export function nextSerial(): string {
  return `cold-${++serial}`;
}

/** Line h compares CPU times where it cannot limit them; other work under a limit has no meaning without it. */
function isImpossible({ setup }: Variant): boolean {
  return setup.cpusPerProcess !== undefined && setup.workers === undefined && cpuLimits() === 'none';
}

async function prepare(base: Base, target: Target, variant: Variant, warmed: Set<string>): Promise<void> {
  const what = `${target.urls.join()} ${variant.work.objectBytes} ${warmTag(variant.work)}`;
  if (!warmed.has(what)) await readAll(base, target, variant);
  warmed.add(what);
  await warmUp(base, target, variant);
}

/** Alternates between the targets, so that a disturbance of the machine affects all of them. */
async function measureVariant(base: Base, targets: readonly Target[], variant: Variant): Promise<Row[]> {
  const samples = new Map<Target, Sample[]>(targets.map((target) => [target, []]));
  for (let repeat = 1; repeat <= base.options.repeats; repeat++)
    for (const [target, list] of samples) list.push(await measure({ base, target, variant, serial: nextSerial() }));
  return [...samples].map(([target, list]) => rowOf(variant, target.name, list));
}

function groupedBySetup(variants: readonly Variant[]): Map<Setup, Variant[]> {
  return Map.groupBy(variants, ({ setup }) => setup);
}
