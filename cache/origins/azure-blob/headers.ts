/** Translates a blob's headers to S3's. Pure. */
import { ownValue } from '#cache/core/own-value.ts';
import { representationHeaders } from '#cache/origins/response/representation.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';

const META = 'x-ms-meta-';
const SAME = ['content-type', 'content-encoding', 'content-language', 'content-disposition', 'cache-control'];
const CLASSES: Readonly<Record<string, string>> = { Cool: 'STANDARD_IA', Cold: 'GLACIER_IR', Archive: 'GLACIER' };

export function s3Headers(headers: ResponseHeaders): Record<string, string> {
  const translated: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (SAME.includes(name)) translated[name] = value;
    else if (name.startsWith(META)) translated[`x-amz-meta-${name.slice(META.length)}`] = value;
  }
  translated['x-amz-storage-class'] = storageClassOf(headers['x-ms-access-tier']);
  const version = headers['x-ms-version-id'];
  if (version !== undefined) translated['x-amz-version-id'] = version;
  const restore = restoreOf(headers['x-ms-archive-status']);
  if (restore !== undefined) translated['x-amz-restore'] = restore;
  return representationHeaders(translated);
}

/** The storage class of an access tier. Tiers of page blobs and unknown tiers have no class of their own. */
export function storageClassOf(tier: string | undefined): string {
  return ownValue(CLASSES, tier ?? '') ?? 'STANDARD';
}

export function restoreOf(archiveStatus: string | undefined): string | undefined {
  return archiveStatus?.startsWith('rehydrate-pending') === true ? 'ongoing-request="true"' : undefined;
}

/** Whether a blob represents a directory, which S3 does not have: in a hierarchical account, or marked by a tool. */
export function isDirectory(resourceType: string | undefined, folderMark: string | undefined): boolean {
  return resourceType === 'directory' || folderMark?.toLowerCase() === 'true';
}
