/** The allow-list of calls between replicas. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ObjectName } from '#cache/core/peer/head-request.ts';
import type { PeerListenerOptions } from './call.ts';

/** Enforces the same allow-list as for clients, by the bucket names of the origin. */
export function checkServed(options: PeerListenerOptions, { originId, bucket, key }: ObjectName): void {
  if (originId !== options.originId)
    throw new OrcaError('bad_request', 'origin_id differs: all replicas must have the same origin.id');
  if (!options.buckets.servesOrigin(bucket, key))
    throw new OrcaError('bad_request', 'the bucket or prefix is not configured');
}
