/** Runs one case: reads continue during a fault, and the numbers show what clients noticed of it. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { BUCKET } from '#test/cluster/operator-world.ts';
import type { ChaosWorld } from './chaos-world.ts';
import { openClients, type RunningLoad } from './clients.ts';
import { reportOf, type CaseResult } from './report.ts';

const MIB = 1024 * 1024;
/** The load that three nodes, their servers and these clients carry on two cores, with room for the faults. */
const WARM_PER_SECOND = 50;
const COLD_BYTES_PER_SECOND = 8 * MIB;
const COLD_OBJECT_BYTES = 20 * MIB;
/** Share of first attempts that may fail. */
const MAX_FIRST_FAILED = 0.01;

export interface CaseOptions {
  /** Overrides the limit in a case too short for a meaningful share. */
  readonly maxFirstFailed?: number;
  readonly coldBytesPerSecond?: number;
  readonly coldObjectBytes?: number;
  /** No replica ends: their metrics must agree with the bytes that the proxy in front of the origin counts. */
  readonly reconciled?: boolean;
}

/** Bytes of a connection that was cut, which the proxy has passed on and no replica has received. */
const MAX_UNCOUNTED = 0.01;

const results: CaseResult[] = [];

export function caseResults(): readonly CaseResult[] {
  return results;
}

/** Lasts until `fault` resolves. Fails if clients saw more failures than allowed. */
export async function runCase(
  chaos: ChaosWorld,
  name: string,
  fault: (load: RunningLoad) => Promise<void>,
  options: CaseOptions = {},
): Promise<CaseResult> {
  const { coldBytesPerSecond = COLD_BYTES_PER_SECOND, coldObjectBytes = COLD_OBJECT_BYTES } = options;
  await using clients = await openClients(chaos.edge, BUCKET);
  expect(await clients.readKnown()).toMatchObject({ failures: 0, wrong: 0, short: 0 });

  const bytesBefore = await chaos.originBytes();
  const countedBefore = await chaos.countedOriginBytes();
  const waitedBefore = await processorWaitMs();
  const startedMs = performance.now();
  const load = clients.start({
    warmPerSecond: WARM_PER_SECOND,
    coldBytesPerSecond,
    coldObjectBytes,
    name: `${name.replaceAll(/\W+/g, '-')}-${process.pid}`,
  });
  await fault(load);
  const { tally, coldBytes } = await load.stop();
  const durationMs = performance.now() - startedMs;
  const starved = ((await processorWaitMs()) - waitedBefore) / durationMs;
  const originBytes = (await chaos.originBytes()) - bytesBefore;
  if (options.reconciled === true) {
    const counted = (await chaos.countedOriginBytes()) - countedBefore;
    expect(Math.abs(counted - originBytes), 'bytes that metrics and proxy disagree on').toBeLessThanOrEqual(
      MAX_UNCOUNTED * originBytes,
    );
  }
  const result = { name, durationMs, tally, coldBytes, originBytes, starved };
  results.push(result);
  console.log(reportOf([result]));
  await judge(chaos, result, options.maxFirstFailed ?? MAX_FIRST_FAILED);
  return result;
}

async function judge(chaos: ChaosWorld, { name, tally }: CaseResult, maxFirstFailed: number): Promise<void> {
  const { reads, firstFailed, failures, wrong, short } = tally;
  const good = wrong + short + failures === 0 && firstFailed < reads * maxFirstFailed;
  if (!good) console.warn(`${name}:`, tally.reasons, await chaos.diagnosis());
  expect({ wrong, short }, 'wrong or short bodies').toEqual({ wrong: 0, short: 0 });
  expect(failures, 'reads that failed with all their attempts').toBe(0);
  expect(firstFailed / reads, 'first attempts that failed').toBeLessThan(maxFirstFailed);
}

/** Time since boot in which at least one runnable process waited for a CPU. */
async function processorWaitMs(): Promise<number> {
  const pressure = await readFile('/proc/pressure/cpu', 'utf8').catch(() => '');
  return Number(/^some .*total=(\d+)/m.exec(pressure)?.[1] ?? 0) / 1000;
}
