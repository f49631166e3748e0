/** All objects below a prefix, as the origin lists them now, filtered by globs. */
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import { compileGlobs } from '#cache/prewarm/globs.ts';
import type { TargetSpec } from '#cache/prewarm/resource.ts';
import { MAX_PAGE_KEYS, type KeyPage, type ListedKey, type Target } from './target.ts';

export type ListKeys = (bucket: string, query: ListQuery, signal: AbortSignal) => Promise<ListPage>;

type PrefixSpec = Extract<TargetSpec, { readonly kind: 'prefix' }>;

/** Throws `invalid_argument` for globs that cannot be used. */
export function prefixTarget(spec: PrefixSpec, list: ListKeys): Target {
  const { bucket, prefix, include, exclude } = spec;
  const isWanted = compileGlobs(include, exclude);
  return {
    bucket,
    title: `s3://${bucket}/${prefix}`,
    async *pages(start, signal) {
      let after = start;
      for (;;) {
        const page = await list(bucket, { prefix, delimiter: '', after, maxKeys: MAX_PAGE_KEYS }, signal);
        const keys = page.items.flatMap((item): ListedKey[] => {
          if (item.kind !== 'object') return [];
          const { key, sizeBytes } = item.entry;
          after = key;
          return isWanted(key.slice(prefix.length)) ? [{ key, sizeBytes, after: key }] : [];
        });
        yield { keys, after } satisfies KeyPage;
        if (!page.truncated || page.items.length === 0) return;
      }
    },
  };
}
