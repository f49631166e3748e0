/** Bucket rules: which of the origin's buckets, or prefixes of them, clients may read, and under which names. */
import { OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { covers, isPattern, prefixOf } from '#cache/core/s3/bucket-name.ts';
import { staysUnder } from '#cache/core/s3/path-traversal.ts';

/** More than the buckets that clients read at a time; the names of an account are at most 10 000. */
const MAX_RESOLVED = 1_000;

export interface BucketRule {
  /** As configured: a bucket's name, or a pattern such as `team-*`. */
  readonly name: string;
  /** A pattern exactly if `name` is one. */
  readonly originBucket: string;
  readonly prefix: string;
  readonly metadataTtlMs: number;
  readonly immutable: boolean;
}

export interface BucketRules {
  readonly buckets: BucketTable;
}

/** The allow-list. A name counts before a pattern, and a longer pattern before a shorter one. */
export class BucketTable {
  readonly #byName: ReadonlyMap<string, BucketRule>;
  readonly #byOriginBucket = new Map<string, BucketRule[]>();
  /** The longest first. */
  readonly #patterns: readonly BucketRule[];
  /** Rules under patterns, by the client's bucket: each read looks up its bucket a few times. */
  readonly #resolved = new LruTable<BucketRule>({ maxEntries: MAX_RESOLVED });

  constructor(rules: readonly BucketRule[]) {
    const exact = rules.filter(({ name }) => !isPattern(name));
    this.#byName = new Map(exact.map((rule) => [rule.name, rule]));
    for (const rule of exact)
      this.#byOriginBucket.set(rule.originBucket, [...(this.#byOriginBucket.get(rule.originBucket) ?? []), rule]);
    this.#patterns = rules.filter(({ name }) => isPattern(name)).toSorted((a, b) => b.name.length - a.name.length);
  }

  /** The rule of a client's bucket, with the origin's bucket that it stands for. */
  get(bucket: string): BucketRule | undefined {
    const exact = this.#byName.get(bucket);
    if (exact !== undefined || this.#patterns.length === 0) return exact;
    return this.#resolved.get(bucket) ?? this.#resolve(bucket);
  }

  has(bucket: string): boolean {
    return this.get(bucket) !== undefined;
  }

  /** The configured names that are not patterns. */
  names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  patterns(): readonly BucketRule[] {
    return this.#patterns;
  }

  /** Whether a client may read this object, by the origin's names. */
  servesOrigin(originBucket: string, key: string): boolean {
    const exact = this.#byOriginBucket.get(originBucket)?.some(({ prefix }) => staysUnder(prefix, key)) ?? false;
    return exact || this.#patterns.some((rule) => this.#reaches(rule, originBucket) && staysUnder(rule.prefix, key));
  }

  /** The client's name for a bucket of the origin under a pattern; undefined if another rule decides about that name. */
  clientNameOf(rule: BucketRule, originBucket: string): string | undefined {
    const prefix = prefixOf(rule.originBucket);
    if (!originBucket.startsWith(prefix)) return undefined;
    const name = prefixOf(rule.name) + originBucket.slice(prefix.length);
    return this.get(name)?.name === rule.name ? name : undefined;
  }

  /** The first rule that leads to this object of the origin; without a key, the first that leads to the bucket. */
  ruleOfOrigin(originBucket: string, key?: string): BucketRule | undefined {
    const serves = ({ prefix }: BucketRule): boolean => key === undefined || staysUnder(prefix, key);
    return (
      this.#byOriginBucket.get(originBucket)?.find(serves) ??
      this.#patterns.find((rule) => this.#reaches(rule, originBucket) && serves(rule))
    );
  }

  #resolve(bucket: string): BucketRule | undefined {
    const rule = this.#patterns.find(({ name }) => covers(name, bucket));
    if (rule === undefined) return undefined;
    const originBucket = prefixOf(rule.originBucket) + bucket.slice(prefixOf(rule.name).length);
    const resolved = { ...rule, originBucket };
    this.#resolved.set(bucket, resolved);
    return resolved;
  }

  #reaches(rule: BucketRule, originBucket: string): boolean {
    return this.clientNameOf(rule, originBucket) !== undefined;
  }
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
