/**
 * Queries that name something else than an object's bytes or a bucket's list. Clients probe for many of them before they
 * read; what a read-only cache can truly say of them is always the same. None is ever answered with the object's bytes.
 */
import { document, element, OWNER, text } from '#cache/core/s3/list-document.ts';
import { errorDocument } from '#cache/core/s3/xml.ts';

/** `document` = 200; otherwise S3's word for "there is none", or for what the bucket does not have at all. */
export type StaticAnswer =
  | { readonly document: string }
  | { readonly status: 400 | 404; readonly code: string; readonly message: string };

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
  'versionId',
  'versioning',
  'versions',
  'website',
] as const;
const SUB_RESOURCES: ReadonlySet<string> = new Set(NAMES);

/** The first sub-resource that a query names; undefined = it is about bytes or a list. */
export function subResourceOf(query: ReadonlyMap<string, string>): string | undefined {
  for (const name of query.keys()) {
    if (!SUB_RESOURCES.has(name)) continue;
    // The version of an object in a bucket that keeps none.
    if (name === 'versionId' && ['', 'null'].includes(query.get(name) ?? '')) continue;
    return name;
  }
  return undefined;
}

const acl = (): string =>
  document(
    'AccessControlPolicy',
    OWNER,
    element(
      'AccessControlList',
      element(
        'Grant',
        `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${text('ID', 'orcacache')}${text('DisplayName', 'orcacache')}</Grantee>` +
          text('Permission', 'FULL_CONTROL'),
      ),
    ),
  );

const some = (content: string): StaticAnswer => ({ document: content });
const none = (code: string, message: string): StaticAnswer => ({ status: 404, code, message });
const NO_LOCKS: StaticAnswer = {
  status: 400,
  code: 'InvalidRequest',
  message: 'Bucket is missing Object Lock Configuration',
};

/** What every bucket answers, by sub-resource; what is not here is not implemented. */
export const BUCKET_ANSWERS: Readonly<Record<string, (bucket: string) => StaticAnswer>> = {
  accelerate: () => some(document('AccelerateConfiguration')),
  acl: () => some(acl()),
  cors: () => none('NoSuchCORSConfiguration', 'The CORS configuration does not exist'),
  encryption: () =>
    none('ServerSideEncryptionConfigurationNotFoundError', 'The server side encryption configuration was not found'),
  lifecycle: () => none('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'),
  logging: () => some(document('BucketLoggingStatus')),
  notification: () => some(document('NotificationConfiguration')),
  'object-lock': () =>
    none('ObjectLockConfigurationNotFoundError', 'Object Lock configuration does not exist for this bucket'),
  ownershipControls: () => none('OwnershipControlsNotFoundError', 'The bucket ownership controls were not found'),
  policy: () => none('NoSuchBucketPolicy', 'The bucket policy does not exist'),
  policyStatus: () => none('NoSuchBucketPolicy', 'The bucket policy does not exist'),
  publicAccessBlock: () =>
    none('NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found'),
  replication: () => none('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
  requestPayment: () => some(document('RequestPaymentConfiguration', text('Payer', 'BucketOwner'))),
  tagging: () => none('NoSuchTagSet', 'The TagSet does not exist'),
  uploads: (bucket) =>
    some(
      document(
        'ListMultipartUploadsResult',
        text('Bucket', bucket),
        text('KeyMarker', ''),
        text('UploadIdMarker', ''),
        text('MaxUploads', 1000),
        text('IsTruncated', false),
      ),
    ),
  versioning: () => some(document('VersioningConfiguration')),
  website: () => none('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration'),
};

/** The same of objects, which have to exist. */
export const OBJECT_ANSWERS: Readonly<Record<string, () => StaticAnswer>> = {
  acl: () => some(acl()),
  'legal-hold': () => NO_LOCKS,
  retention: () => NO_LOCKS,
  tagging: () => some(document('Tagging', element('TagSet', ''))),
};

export function noneDocument(answer: { readonly code: string; readonly message: string }, place: ErrorFields): string {
  return errorDocument({ Code: answer.code, Message: answer.message, ...place });
}

type ErrorFields = Readonly<Record<string, string | undefined>>;
