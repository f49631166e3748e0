/**
 * S3 sub-resources: queries for something other than an object's bytes or a bucket's list. Clients probe many of them
 * before they read, and a read-only cache has a fixed answer to each. None is ever answered with the object's bytes.
 */
import { document, element, OWNER, text } from '#cache/core/s3/list-document.ts';
import { errorDocument } from '#cache/core/s3/xml.ts';

/** `document` is sent with 200; the others are S3's errors for a configuration that is not set. */
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
  'versioning',
  'versions',
  'website',
] as const;
const SUB_RESOURCES: ReadonlySet<string> = new Set(NAMES);

/** The first sub-resource in the query; undefined = a request for bytes or a list. */
export function subResourceOf(query: ReadonlyMap<string, string>): string | undefined {
  for (const name of query.keys()) if (SUB_RESOURCES.has(name)) return name;
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

const isSet = (content: string): StaticAnswer => ({ document: content });
const notSet = (code: string, message: string): StaticAnswer => ({ status: 404, code, message });
const NO_LOCKS: StaticAnswer = {
  status: 400,
  code: 'InvalidRequest',
  message: 'Bucket is missing Object Lock Configuration',
};

/** The answer of every bucket, by sub-resource; any other is not implemented. */
export const BUCKET_ANSWERS: Readonly<Record<string, (bucket: string) => StaticAnswer>> = {
  accelerate: () => isSet(document('AccelerateConfiguration')),
  acl: () => isSet(acl()),
  cors: () => notSet('NoSuchCORSConfiguration', 'The CORS configuration does not exist'),
  encryption: () =>
    notSet('ServerSideEncryptionConfigurationNotFoundError', 'The server side encryption configuration was not found'),
  lifecycle: () => notSet('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'),
  logging: () => isSet(document('BucketLoggingStatus')),
  notification: () => isSet(document('NotificationConfiguration')),
  'object-lock': () =>
    notSet('ObjectLockConfigurationNotFoundError', 'Object Lock configuration does not exist for this bucket'),
  ownershipControls: () => notSet('OwnershipControlsNotFoundError', 'The bucket ownership controls were not found'),
  policy: () => notSet('NoSuchBucketPolicy', 'The bucket policy does not exist'),
  policyStatus: () => notSet('NoSuchBucketPolicy', 'The bucket policy does not exist'),
  publicAccessBlock: () =>
    notSet('NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found'),
  replication: () => notSet('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
  requestPayment: () => isSet(document('RequestPaymentConfiguration', text('Payer', 'BucketOwner'))),
  tagging: () => notSet('NoSuchTagSet', 'The TagSet does not exist'),
  uploads: (bucket) =>
    isSet(
      document(
        'ListMultipartUploadsResult',
        text('Bucket', bucket),
        text('KeyMarker', ''),
        text('UploadIdMarker', ''),
        text('MaxUploads', 1000),
        text('IsTruncated', false),
      ),
    ),
  versioning: () => isSet(document('VersioningConfiguration')),
  website: () => notSet('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration'),
};

/** The answer of every existing object, by sub-resource. */
export const OBJECT_ANSWERS: Readonly<Record<string, () => StaticAnswer>> = {
  acl: () => isSet(acl()),
  'legal-hold': () => NO_LOCKS,
  retention: () => NO_LOCKS,
  tagging: () => isSet(document('Tagging', element('TagSet', ''))),
};

export function notSetDocument(
  answer: { readonly code: string; readonly message: string },
  fields: ErrorFields,
): string {
  return errorDocument({ Code: answer.code, Message: answer.message, ...fields });
}

type ErrorFields = Readonly<Record<string, string | undefined>>;
