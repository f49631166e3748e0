/** Names of buckets, and patterns of them: a prefix of names followed by `*`. Pure. */

/** The names that S3 assigns, within which no path and no host can be hidden. */
const BUCKET = /^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export function isBucketName(name: string): boolean {
  return BUCKET.test(name);
}

export function isPattern(name: string): boolean {
  return name.endsWith('*');
}

/** The prefix that names under a pattern share. */
export function prefixOf(pattern: string): string {
  return pattern.slice(0, -1);
}

/** Whether a configured name, which may be a pattern, covers the bucket. */
export function covers(configured: string, bucket: string): boolean {
  if (!isPattern(configured)) return configured === bucket;
  return bucket.startsWith(prefixOf(configured)) && isBucketName(bucket);
}
