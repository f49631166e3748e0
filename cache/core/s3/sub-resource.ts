/**
 * Documents about a bucket or an object that the origin keeps: tags, locks, configurations. Only the origin knows them,
 * so they are read through, never made up.
 */

export interface SubResource {
  /** As in the query. */
  readonly name: string;
  /** The root elements that servers give the document. One that ignores the query sends another, or the object's bytes. */
  readonly roots: readonly string[];
  /** The document contains names of keys: nothing for a client that may not see the whole bucket. */
  readonly namesKeys?: boolean;
}

/** S3's answer to a request for a sub-resource. */
export type SubResourceAnswer =
  | { readonly document: string }
  /** The document does not exist: S3 has an error code of its own for each kind. */
  | { readonly status: number; readonly code: string; readonly message: string };

export const OBJECT_SUB_RESOURCES: Readonly<Record<string, SubResource>> = byName([
  { name: 'legal-hold', roots: ['LegalHold', 'ObjectLockLegalHold'] },
  { name: 'retention', roots: ['Retention', 'ObjectLockRetention'] },
  { name: 'tagging', roots: ['Tagging'] },
]);

/**
 * Without the rights of other accounts (`acl`, `policy`), and the targets of copies, logs and events. The cache
 * has its own rights at the origin, and its clients do not have these.
 */
export const BUCKET_SUB_RESOURCES: Readonly<Record<string, SubResource>> = byName([
  { name: 'accelerate', roots: ['AccelerateConfiguration'] },
  { name: 'cors', roots: ['CORSConfiguration'] },
  { name: 'encryption', roots: ['ServerSideEncryptionConfiguration'] },
  { name: 'lifecycle', roots: ['LifecycleConfiguration'], namesKeys: true },
  { name: 'object-lock', roots: ['ObjectLockConfiguration'] },
  { name: 'ownershipControls', roots: ['OwnershipControls'] },
  { name: 'publicAccessBlock', roots: ['PublicAccessBlockConfiguration'] },
  { name: 'requestPayment', roots: ['RequestPaymentConfiguration'] },
  { name: 'tagging', roots: ['Tagging'] },
  { name: 'versioning', roots: ['VersioningConfiguration'] },
  { name: 'website', roots: ['WebsiteConfiguration'], namesKeys: true },
]);

function byName(all: readonly SubResource[]): Readonly<Record<string, SubResource>> {
  return Object.fromEntries(all.map((each) => [each.name, each]));
}

/** The name of an XML document's root element, without its namespace prefix; undefined if it is not XML. */
export function rootOf(document: string): string | undefined {
  return /^\uFEFF?\s*(?:<\?xml[^>]*\?>\s*)?<(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s/>]/.exec(document)?.[1];
}
