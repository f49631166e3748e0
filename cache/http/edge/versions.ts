/** ListObjectVersions: the origin's answer. */
import { versionListDocument } from '#cache/core/s3/version-list-document.ts';
import { parseVersionListRequest, type VersionPage } from '#cache/core/s3/version-list.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import { requireReadAccess, sendXml, type EdgeCall, type EdgeResult } from './call.ts';
import { requireServed, type ServedBuckets } from './lists.ts';

const EMPTY_PAGE: VersionPage = { items: [], next: undefined };

export async function listVersions({ engine, names }: ServedBuckets, call: EdgeCall): Promise<EdgeResult> {
  const { caller, target, request, response } = call;
  // Before anything else: callers without access must learn nothing.
  requireReadAccess(caller, target.bucket, target.query.get('prefix') ?? '');
  const listRequest = parseVersionListRequest(target.bucket, target.query);
  requireServed(names, target.bucket);
  const page =
    listRequest.maxKeys === 0
      ? EMPTY_PAGE
      : await engine.listVersions(target.bucket, listRequest, abortOnClose(request, response));
  return sendXml(call, 200, versionListDocument(listRequest, page));
}
