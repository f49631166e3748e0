/** What clients and peers may call: with the client's names, which `admit` and the bucket rules translate. */
import type { ClientCacheControl } from '#cache/core/cache-control.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import type { SubResource, SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import { versionsUnder, versionsWithout, type VersionPage, type VersionQuery } from '#cache/core/s3/version-list.ts';
import type { BucketChecks } from '#cache/engine/metadata/bucket-checks.ts';
import type { BucketOwners } from '#cache/engine/metadata/bucket-owners.ts';
import { underPrefix, withoutPrefix, type ListAnswer, type Listings } from '#cache/engine/metadata/listings.ts';
import type { SubResources } from '#cache/engine/metadata/sub-resources.ts';
import type { VersionListings } from '#cache/engine/metadata/version-listings.ts';
import type { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import type { BucketNames } from '#cache/engine/buckets/bucket-names.ts';
import { ruleOf, underRule } from '#cache/engine/buckets/bucket-rule.ts';
import { abortable } from '#shared/abortable.ts';
import type { Soon } from '#shared/soon.ts';
import { purgeChunks, type PurgedChunks } from './purge-chunks.ts';
import { admit, read, type ReadContext, type ReadRequest, type ReadResult } from './read.ts';
import { serveFill, type FillCall, type FillReply } from './serve-fill.ts';

export interface EngineCalls {
  read(request: ReadRequest): Promise<ReadResult>;
  /** The same; a read from memory, of an object that is known, returns its result at once. Never throws: rejects. */
  readSoon(request: ReadRequest): Soon<ReadResult>;
  /** A page of a client's bucket, in the client's names. */
  list(bucket: string, query: ListQuery, signal: AbortSignal, accepted?: ClientCacheControl): Promise<ListAnswer>;
  /** The same as the origin has it now; not kept. */
  listFresh(bucket: string, query: ListQuery, signal: AbortSignal): Promise<ListPage>;
  /** The client's names of the origin's buckets under the configured patterns. */
  listBuckets(signal: AbortSignal): Promise<readonly string[]>;
  /** The same of all versions. */
  listVersions(bucket: string, query: VersionQuery, signal: AbortSignal): Promise<VersionPage>;
  /** A document of the origin about a client's bucket (the key is empty) or object. */
  subResource(
    name: Pick<ReadRequest, 'bucket' | 'key' | 'versionId'>,
    wanted: SubResource,
    signal: AbortSignal,
    accepted?: ClientCacheControl,
  ): Promise<SubResourceAnswer>;
  /** Rejects unless the client's bucket is served and, as far as the origin answers, exists there. */
  requireBucket(bucket: string, signal: AbortSignal): Promise<void>;
  /** Rejects unless `owner` owns the client's bucket at the origin. */
  checkOwner(name: Pick<ReadRequest, 'bucket' | 'key'>, owner: string, signal: AbortSignal): Promise<void>;
  serveFill(call: FillCall): Promise<FillReply>;
  /** Removes an object's metadata on all replicas. Its chunks stay: each belongs to one version. */
  purge(name: Pick<ReadRequest, 'bucket' | 'key'>): void;
  /** The same, and deletes the chunks of the versions that are known from the cachestore. */
  purgeChunks(name: Pick<ReadRequest, 'bucket' | 'key'>, signal: AbortSignal): Promise<PurgedChunks>;
}

interface Answers {
  readonly identity: OriginIdentity;
  readonly owners: BucketOwners;
  readonly bucketChecks: BucketChecks;
  readonly listings: Listings;
  readonly versionListings: VersionListings;
  readonly bucketNames: BucketNames;
  readonly subResources: SubResources;
}

/** What clients and peers call. Every call is refused while another origin is registered under this one's id. */
export function openCalls(
  context: ReadContext,
  { identity, owners, bucketChecks, listings, versionListings, bucketNames, subResources }: Answers,
): EngineCalls {
  const served = <T>(call: () => Promise<T>): Promise<T> => {
    const refusal = identity.refusal();
    return refusal === undefined ? call() : Promise.reject(refusal);
  };
  const readSoon = (request: ReadRequest): Soon<ReadResult> => {
    const refusal = identity.refusal();
    return refusal === undefined ? read(context, request) : Promise.reject(refusal);
  };
  return {
    read: async (request) => readSoon(request),
    readSoon,
    list: (bucket, query, signal, accepted) =>
      served(async () => {
        const rule = ruleOf(context, bucket);
        const { originBucket, prefix } = rule;
        underRule(rule, query.prefix);
        const answer = await listings.list(originBucket, underPrefix(prefix, query), signal, accepted);
        return { ...answer, page: withoutPrefix(prefix, answer.page) };
      }),
    listFresh: (bucket, query, signal) =>
      served(async () => {
        const rule = ruleOf(context, bucket);
        underRule(rule, query.prefix);
        const page = await abortable(listings.fresh(rule.originBucket, underPrefix(rule.prefix, query)), signal);
        return withoutPrefix(rule.prefix, page);
      }),
    listBuckets: (signal) => served(() => bucketNames.list(context.buckets, signal)),
    listVersions: (bucket, query, signal) =>
      served(async () => {
        const rule = ruleOf(context, bucket);
        underRule(rule, query.prefix);
        const page = await versionListings.list(rule.originBucket, versionsUnder(rule.prefix, query), signal);
        return versionsWithout(rule.prefix, page);
      }),
    subResource: (name, wanted, signal, accepted) =>
      served(async () => {
        const { originBucket, prefix } = ruleOf(context, name.bucket);
        if (name.key !== '') return subResources.read(admit(context, name).object, wanted, signal, accepted);
        if (wanted.namesKeys === true && prefix !== '')
          throw new OrcaError(
            'not_implemented',
            `?${wanted.name} names keys of the origin's bucket outside of this one`,
          );
        return subResources.read({ bucket: originBucket, key: '' }, wanted, signal, accepted);
      }),
    requireBucket: (bucket, signal) => served(() => bucketChecks.require(ruleOf(context, bucket), signal)),
    checkOwner: (name, owner, signal) =>
      served(async () => {
        const { originBucket } = ruleOf(context, name.bucket);
        const key = name.key === '' ? '' : admit(context, name).object.key;
        await owners.check(originBucket, key, owner, signal);
      }),
    serveFill: (call) => served(() => serveFill(context, call)),
    purge: (name) => context.metadata.purge(admit(context, name).object),
    purgeChunks: (name, signal) =>
      served(async () => {
        // Before that, the chunks under this origin's id may be those of another cache.
        if (identity.state !== 'ours')
          throw new OrcaError('store_unavailable', 'the origin id is not verified in the cachestore yet: try again');
        return purgeChunks(context, admit(context, name).object, signal);
      }),
  };
}
