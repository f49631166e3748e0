/** What keeps a prewarm from starting: its cache, a bucket, a ConfigMap or its schedule. */
import { REASON, type Reason } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { OrcaPrewarm } from '#operator/api/orca-prewarm.ts';
import type { Api } from '#operator/reconcile/api.ts';
import { parseSchedule } from './schedule.ts';

export interface Problem {
  readonly reason: Reason;
  /** Names the field, the object and the remedy. */
  readonly message: string;
  /** What is missing may be created at the same time as the prewarm; until the grace period ends it is no error. */
  readonly mayAppear: boolean;
}

/** `cache`: undefined if it does not exist. */
export async function findProblem(
  api: Api,
  prewarm: OrcaPrewarm,
  cache: OrcaCache | undefined,
): Promise<Problem | undefined> {
  return (
    scheduleProblem(prewarm) ??
    (cache === undefined ? noCache(prewarm) : bucketProblem(prewarm, cache)) ??
    (await keysProblem(api, prewarm))
  );
}

function scheduleProblem({ spec: { schedule, timeZone } }: OrcaPrewarm): Problem | undefined {
  if (schedule === undefined) return undefined;
  const problem = (message: string): Problem => ({ reason: REASON.invalidSchedule, message, mayAppear: false });
  try {
    if (parseSchedule(schedule, timeZone).next(0) !== undefined) return undefined;
    return problem(`spec.schedule: ${schedule} never occurs; create a new OrcaPrewarm with another schedule`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return problem(`spec.schedule and spec.timeZone: ${error.message}; create a new OrcaPrewarm with valid ones`);
  }
}

function noCache({ metadata, spec }: OrcaPrewarm): Problem {
  return {
    reason: REASON.cacheNotFound,
    message: `spec.cacheRef.name: OrcaCache ${metadata.namespace}/${spec.cacheRef.name} not found; create it, or create a new OrcaPrewarm with the name of a cache in this namespace`,
    mayAppear: true,
  };
}

function bucketProblem({ spec }: OrcaPrewarm, cache: OrcaCache): Problem | undefined {
  const rules = cache.spec.origin.buckets.map(({ name }) => name);
  for (const [index, { bucket, manifest }] of spec.targets.entries())
    for (const [field, name] of [
      ['bucket', bucket],
      ['manifest.bucket', manifest?.bucket],
    ] as const)
      if (name !== undefined && !rules.some((rule) => covers(rule, name)))
        return {
          reason: REASON.bucketNotServed,
          message: `spec.targets[${index}].${field}: OrcaCache ${cache.metadata.name} does not serve bucket ${name}; add it to spec.origin.buckets of the cache, or create a new OrcaPrewarm`,
          mayAppear: true,
        };
  return undefined;
}

/** A rule is a bucket's name or the beginning of names, followed by `*`. */
function covers(rule: string, bucket: string): boolean {
  return rule.endsWith('*') ? bucket.startsWith(rule.slice(0, -1)) : rule === bucket;
}

async function keysProblem(api: Api, { metadata, spec }: OrcaPrewarm): Promise<Problem | undefined> {
  for (const [index, { keysFrom }] of spec.targets.entries()) {
    if (keysFrom === undefined) continue;
    const { name, key } = keysFrom.configMapRef;
    const holder = await api.find<{ readonly data?: Readonly<Record<string, string>> }>(
      `${collectionPath('v1', 'configmaps', metadata.namespace)}/${name}`,
    );
    if (holder !== undefined && Object.hasOwn(holder.data ?? {}, key)) continue;
    const lacks = holder === undefined ? 'not found; create it' : `has no key ${key}; add it`;
    return {
      reason: REASON.keysNotFound,
      message: `spec.targets[${index}].keysFrom.configMapRef: ConfigMap ${metadata.namespace}/${name} ${lacks}`,
      mayAppear: true,
    };
  }
  return undefined;
}
