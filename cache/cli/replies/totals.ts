/** The sums over the pods of a cache. One replica fetches what another one serves: only sums have a meaning. */
import { countAt, fieldsAt, numberAt, textAt, type Fields } from './fields.ts';
import type { PodReport } from './gather.ts';

export interface Traffic {
  readonly windowMs: number;
  readonly requests: number;
  /** Answered without the origin, of those that had a body from the cache. */
  readonly hits: number;
  readonly answered: number;
  readonly clientErrors: number;
  readonly serverErrors: number;
  readonly servedBytes: number;
  readonly originBytes: number;
  readonly originRequests: number;
}

/** `totals` of `/top`, or its `window`. */
export function trafficOf(totals: Fields, windowMs: number): Traffic {
  const byCache = fieldsAt(totals, 'byCache');
  const hits = countAt(byCache, 'HIT') + countAt(byCache, 'STALE');
  return {
    windowMs,
    requests: countAt(totals, 'requests'),
    hits,
    answered: hits + countAt(byCache, 'MISS'),
    clientErrors: countAt(totals, 'clientErrors'),
    serverErrors: countAt(totals, 'serverErrors'),
    servedBytes: countAt(totals, 'servedBytes'),
    originBytes: countAt(totals, 'originBytes'),
    originRequests: countAt(totals, 'originRequests'),
  };
}

/** The sum over the pods that report it; undefined if none does. */
export function windowOf(pods: readonly PodReport[]): Traffic | undefined {
  const windows = pods.flatMap(({ top }) =>
    top === undefined ? [] : [trafficOf(fieldsAt(top, 'window'), countAt(top, 'windowMs'))],
  );
  return windows.length === 0 ? undefined : windows.reduce(sum);
}

function sum(a: Traffic, b: Traffic): Traffic {
  return {
    windowMs: Math.max(a.windowMs, b.windowMs),
    requests: a.requests + b.requests,
    hits: a.hits + b.hits,
    answered: a.answered + b.answered,
    clientErrors: a.clientErrors + b.clientErrors,
    serverErrors: a.serverErrors + b.serverErrors,
    servedBytes: a.servedBytes + b.servedBytes,
    originBytes: a.originBytes + b.originBytes,
    originRequests: a.originRequests + b.originRequests,
  };
}

export interface StoreUse {
  readonly state: string;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  readonly foreignBytes: number;
  readonly capacityBytes: number | undefined;
  /** The largest first. */
  readonly byBucket: readonly { readonly bucket: string; readonly bytes: number }[];
}

/** The newest figures that a pod reports; undefined if none does. */
export function storeUseOf(pods: readonly PodReport[]): StoreUse | undefined {
  const accounts = pods
    .flatMap(({ store, status }) => [store, fieldsAt(status, 'capacity')])
    .filter((account): account is Fields => numberAt(account, 'usedBytes') !== undefined);
  // A replica reports zeros until it has its first response of the accountant.
  const known = accounts.toSorted((a, b) => rank(b) - rank(a) || swept(b) - swept(a))[0];
  if (known === undefined) return undefined;
  return {
    state: textAt(known, 'state'),
    usedBytes: countAt(known, 'usedBytes'),
    chunks: countAt(known, 'chunks'),
    pinnedBytes: countAt(known, 'pinnedBytes'),
    foreignBytes: countAt(known, 'foreignBytes'),
    capacityBytes: numberAt(known, 'capacityBytes'),
    byBucket: byBucketOf(known['byBucket']).toSorted((a, b) => b.bytes - a.bytes),
  };
}

const rank = (account: Fields): number =>
  (account['state'] === 'counting' ? 0 : 2) + (account['byBucket'] === undefined ? 0 : 1);
const swept = (account: Fields): number => countAt(account, 'lastSweepMs');

/** As an object, or as pairs. */
function byBucketOf(value: unknown): { bucket: string; bytes: number }[] {
  const pairs: unknown[] = Array.isArray(value) ? value : Object.entries(fieldsAt(value));
  return pairs.flatMap((pair) => {
    if (!Array.isArray(pair)) return [];
    const [bucket, bytes] = pair as unknown[];
    return typeof bucket === 'string' && typeof bytes === 'number' ? [{ bucket, bytes }] : [];
  });
}
