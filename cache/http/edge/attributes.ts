/** GetObjectAttributes, from the metadata that the cache has of the object and its parts: no further permission at the origin. */
import { OrcaError, hasCode } from '#cache/core/errors.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import { rangeLength } from '#cache/core/object.ts';
import {
  attributesDocument,
  hasPartChecksums,
  requestedAttributes,
  requestedParts,
  type AttributePart,
  type PartsPage,
} from '#cache/core/s3/object-attributes.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { partsCount } from '#cache/engine/metadata/multipart-parts.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import { forEachParallel } from '#shared/for-each-parallel.ts';
import { sendXml, type EdgeCall, type EdgeResult } from './call.ts';
import { headObject, partObject } from './object.ts';

/** HEADs of parts at the same time. Each is one request to the origin, unless the part is known. */
const CONCURRENT_PARTS = 8;

type Reader = Pick<Engine, 'read'>;

export async function serveAttributes(engine: Reader, call: EdgeCall): Promise<EdgeResult> {
  const { request, response } = call;
  const { headers } = request;
  const wanted = requestedAttributes(headers['x-amz-object-attributes']?.toString());
  const page = requestedParts(headers['x-amz-max-parts']?.toString(), headers['x-amz-part-number-marker']?.toString());
  const signal = abortOnClose(request, response);
  const { head, ageMs, stale } = await headObject(engine, call, signal);
  const count = partsCount(head.etag);
  const parts =
    wanted.has('ObjectParts') && count !== undefined && hasPartChecksums(head)
      ? await partsOf(engine, call, head, count, page, signal)
      : undefined;
  response.setHeader('Last-Modified', new Date(head.lastModifiedMs).toUTCString());
  response.setHeader('Age', Math.floor(ageMs / 1000));
  const versionId = head.headers['x-amz-version-id'];
  if (versionId !== undefined) response.setHeader('x-amz-version-id', versionId);
  const document = attributesDocument(wanted, head, count, parts === undefined ? undefined : { ...page, parts });
  if (!stale) return sendXml(call, 200, document);
  response.setHeader('X-Cache', 'STALE');
  return { ...sendXml(call, 200, document), cache: 'STALE' };
}

/** The parts of a page; undefined for an origin that cannot locate parts. */
async function partsOf(
  engine: Reader,
  call: EdgeCall,
  { etag }: ObjectHead,
  count: number,
  { after, maxParts }: PartsPage,
  signal: AbortSignal,
): Promise<readonly AttributePart[] | undefined> {
  const last = Math.min(count, after + maxParts);
  const numbers = Array.from({ length: Math.max(0, last - after) }, (_, index) => after + 1 + index);
  const parts: AttributePart[] = [];
  try {
    await forEachParallel(numbers, CONCURRENT_PARTS, async (number) => {
      const { range, partChecksums = {} } = await partObject(engine, call, number, etag, signal);
      parts[number - after - 1] = { number, sizeBytes: rangeLength(range), checksums: partChecksums };
    });
    return parts;
  } catch (error) {
    if (hasCode(error, 'not_implemented')) return undefined;
    if (hasCode(error, 'precondition_failed'))
      throw new OrcaError('object_changed', 'the object changed while its parts were looked up', { cause: error });
    throw error;
  }
}
