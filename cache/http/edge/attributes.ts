/** GetObjectAttributes, from the metadata that the cache has of the object: no further permission at the origin. */
import { attributesDocument, requestedAttributes } from '#cache/core/s3/object-attributes.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { partsCount } from '#cache/engine/metadata/multipart-parts.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import { sendXml, type EdgeCall, type EdgeResult } from './call.ts';
import { headObject } from './object.ts';

export async function serveAttributes(engine: Pick<Engine, 'read'>, call: EdgeCall): Promise<EdgeResult> {
  const { request, response } = call;
  const wanted = requestedAttributes(request.headers['x-amz-object-attributes']?.toString());
  const { head, ageMs, stale } = await headObject(engine, call, abortOnClose(request, response));
  response.setHeader('Last-Modified', new Date(head.lastModifiedMs).toUTCString());
  response.setHeader('Age', Math.floor(ageMs / 1000));
  const versionId = head.headers['x-amz-version-id'];
  if (versionId !== undefined) response.setHeader('x-amz-version-id', versionId);
  const document = attributesDocument(wanted, head, partsCount(head.etag));
  if (!stale) return sendXml(call, 200, document);
  response.setHeader('X-Cache', 'STALE');
  return { ...sendXml(call, 200, document), cache: 'STALE' };
}
