/** A blob's headers in S3's words. Pure. */
import { representationHeaders } from '#cache/origins/response/representation.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

const META = 'x-ms-meta-';
const SAME = ['content-type', 'content-encoding', 'content-language', 'content-disposition', 'cache-control'];
const CLASSES: Readonly<Record<string, string>> = { Cool: 'STANDARD_IA', Cold: 'GLACIER_IR', Archive: 'GLACIER' };

export function s3Headers(headers: ResponseHeaders): Record<string, string> {
  const words: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (SAME.includes(name)) words[name] = value;
    else if (name.startsWith(META)) words[`x-amz-meta-${name.slice(META.length)}`] = value;
  }
  words['x-amz-storage-class'] = storageClassOf(headers['x-ms-access-tier']);
  const version = headers['x-ms-version-id'];
  if (version !== undefined) words['x-amz-version-id'] = version;
  const restore = restoreOf(headers['x-ms-archive-status']);
  if (restore !== undefined) words['x-amz-restore'] = restore;
  return representationHeaders(words);
}

/** Of an access tier; those of page blobs and what is not known are no class of their own. */
export function storageClassOf(tier: string | undefined): string {
  return CLASSES[tier ?? ''] ?? 'STANDARD';
}

export function restoreOf(archiveStatus: string | undefined): string | undefined {
  return archiveStatus?.startsWith('rehydrate-pending') === true ? 'ongoing-request="true"' : undefined;
}

/** What stands for a directory, where there are none in S3: of a hierarchical account, or by a tool's mark. */
export function isDirectory(resourceType: string | undefined, folderMark: string | undefined): boolean {
  return resourceType === 'directory' || folderMark?.toLowerCase() === 'true';
}
