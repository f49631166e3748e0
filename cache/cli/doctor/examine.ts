/** Runs every check on one cache. */
import type { CacheReport } from '#cache/cli/replies/gather.ts';
import type { Check, CheckResult } from './check.ts';
import { ORIGIN_CHECKS } from './origin-checks.ts';
import { PEER_CHECKS } from './peer-checks.ts';
import { POD_CHECKS } from './pod-checks.ts';
import { RESOURCE_CHECKS } from './resource-checks.ts';
import { STORE_CHECKS } from './store-checks.ts';

export const CHECKS: readonly Check[] = [
  ...POD_CHECKS,
  ...RESOURCE_CHECKS,
  ...PEER_CHECKS,
  ...ORIGIN_CHECKS,
  ...STORE_CHECKS,
];

export function examine(report: CacheReport): readonly CheckResult[] {
  return CHECKS.map((check) => ({ check, troubles: check.run(report) }));
}

/** Errors first. */
export function troublesOf(results: readonly CheckResult[]) {
  const all = results.flatMap(({ check, troubles = [] }) =>
    troubles.map((trouble) => ({ check: check.id, ...trouble })),
  );
  return all.toSorted((a, b) => Number(a.level !== 'error') - Number(b.level !== 'error'));
}
