/** Bucket rules: which of the origin's buckets, or prefixes of them, clients may read, and under which names. */
import { OrcaError } from '#cache/core/errors.ts';
import { staysUnder } from '#cache/core/s3/path-traversal.ts';

export interface BucketRule {
  readonly name: string;
  readonly originBucket: string;
  readonly prefix: string;
  readonly metadataTtlMs: number;
  readonly immutable: boolean;
}

export interface BucketRules {
  /** By the client's bucket name. */
  readonly buckets: ReadonlyMap<string, BucketRule>;
}

/** The allow-list's rule for a bucket; throws `bucket_not_found`. */
export function ruleOf({ buckets }: BucketRules, bucket: string): BucketRule {
  const rule = buckets.get(bucket);
  if (rule === undefined) throw new OrcaError('bucket_not_found', `bucket ${bucket} is not served by this cache`);
  return rule;
}

/** The origin's name for a key or a list prefix. Throws `bad_request` for a name that no bucket can hold. */
export function underRule({ prefix }: Pick<BucketRule, 'prefix'>, name: string): string {
  const full = prefix + name;
  if (!staysUnder(prefix, full))
    throw new OrcaError('bad_request', "the key would escape its bucket prefix ('..' segments)");
  // Origins on a file system fail over it each time, and the circuit breaker would count that as an outage.
  if (name.includes('\0')) throw new OrcaError('bad_request', 'the key contains a NUL character');
  return full;
}
