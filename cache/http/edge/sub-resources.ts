/**
 * S3 sub-resources: queries for something other than an object's bytes or a bucket's list. What the origin keeps is read
 * through with the cache's rights there; any other is refused as not implemented. None is ever made up, or answered with
 * the object's bytes.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { ownValue } from '#cache/core/own-value.ts';
import { BUCKET_SUB_RESOURCES, OBJECT_SUB_RESOURCES } from '#cache/core/s3/sub-resource.ts';
import { versionIdOf } from '#cache/core/s3/version-id.ts';
import { errorDocument } from '#cache/core/s3/xml.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import { requireReadAccess, sendXml, type EdgeCall, type EdgeResult } from './call.ts';

const NAMES = [
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metadataConfiguration',
  'metadataTable',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versioning',
  'versions',
  'website',
] as const;
const SUB_RESOURCES: ReadonlySet<string> = new Set(NAMES);

/** The first sub-resource in the query; undefined = a request for bytes or a list. */
export function subResourceOf(query: ReadonlyMap<string, string>): string | undefined {
  if (query.size === 0) return undefined;
  for (const name of query.keys()) if (SUB_RESOURCES.has(name)) return name;
  return undefined;
}

/** A document of the origin about the bucket or the object of the call. */
export async function serveSubResource(
  engine: Pick<Engine, 'subResource'>,
  call: EdgeCall,
  name: string,
): Promise<EdgeResult> {
  const { caller, target, request, response, requestId } = call;
  const { bucket, key } = target;
  const wanted = ownValue(key === '' ? BUCKET_SUB_RESOURCES : OBJECT_SUB_RESOURCES, name);
  if (wanted === undefined) throw new OrcaError('not_implemented', `?${name} is not implemented`);
  if (wanted.namesKeys === true) requireReadAccess(caller, bucket, '');
  const versionId = key === '' ? undefined : versionIdOf(target.query);
  const signal = abortOnClose(request, response);
  const answer = await engine.subResource({ bucket, key, versionId }, wanted, signal, call.cacheControl);
  if ('document' in answer) return sendXml(call, 200, answer.document);
  const document = errorDocument({
    Code: answer.code,
    Message: answer.message,
    Key: key === '' ? undefined : key,
    BucketName: bucket,
    RequestId: requestId,
    HostId: requestId,
  });
  return sendXml(call, answer.status, document);
}
