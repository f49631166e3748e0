/** How the cache's responses (`to`) differ from versitygw's (`from`), and why. */
import type { Difference } from './compare.ts';

/** Requests for an object. */
const OBJECT = /^(?:GET|HEAD) \/[^ /?]+\/[^ ?]/;
const ANY = /^/;

const READ_ONLY: Difference[] = [
  {
    reason: 'the cache is read-only: every write is 405 with the methods that are allowed',
    where: /^(?:PUT|POST|DELETE|PATCH) /,
    what: 'answer',
    to: '405 Error MethodNotAllowed',
  },
  {
    reason: 'RFC 9110: a 405 lists the allowed methods',
    where: /^(?:POST|DELETE|PATCH) /,
    what: 'header allow',
    from: 'none',
  },
  {
    reason: 'versitygw treats an unknown method as a request to the service',
    where: /^PATCH /,
    what: 'Error ResourceType',
    from: 'SERVICE',
    to: 'OBJECT',
  },
  {
    reason: 'a refused preflight has no further headers',
    where: /^OPTIONS .* access-control-request-method=/,
    what: /^Error (?:Method|ResourceType)$/,
    to: 'none',
  },
];

const CONDITIONS: Difference[] = [
  {
    reason: 'times are compared in seconds, as in HTTP headers; versitygw compares fractions that no client has seen',
    where: /if-unmodified-since=<modified>/,
    what: 'answer',
    from: /^412/,
    to: /^(?:200|304)$/,
  },
  {
    reason: 'the same',
    where: /if-modified-since=<modified>/,
    what: 'answer',
    from: '200',
    to: '304',
  },
  {
    reason: 'a 304 has the validators and the caching headers (RFC 9110 §15.4.5)',
    where: / if-(?:none-match|modified-since)=/,
    what: /^header (?:cache-control|etag|expires|last-modified)$/,
    from: 'none',
  },
  {
    reason: 'a 304 has no body, hence no type of one',
    where: / if-(?:none-match|modified-since)=/,
    what: 'header content-type',
    from: 'application/xml',
    to: 'none',
  },
  {
    reason: 'an If-Match that names no version matches none; versitygw takes it for none',
    where: /if-match=(?:"")?$/,
    what: 'answer',
    from: '200',
    to: /^412/,
  },
  {
    reason: 'several versions may be named (RFC 9110 §13.1.1); versitygw takes them for one',
    where: /if-match=(?:"other", <etag>|<etag>,"other")$/,
    what: 'answer',
    from: /^412/,
    to: '200',
  },
  {
    reason: 'the same, and a weak one is the same version (RFC 9110 §13.1.2)',
    where: /if-none-match=(?:"other", <etag>|<etag>,"other"|W\/<etag>)$/,
    what: 'answer',
    from: '200',
    to: '304',
  },
  {
    reason: 'a date to come is a date (RFC 9110 §13.1.3)',
    where: /if-modified-since=[^<]*GMT$/,
    what: 'answer',
    from: '200',
    to: '304',
  },
  {
    reason: 'If-Range is honoured: a range of another version is worse than the whole',
    where: /if-range=(?:"other"|W\/<etag>|nonsense)$/,
    what: 'answer',
    from: '206',
    to: '200',
  },
];

const RANGES: Difference[] = [
  {
    reason: 'numbers behind 2^63 are behind every end, like smaller ones',
    where: /range=bytes=(?:0-)?99999999999999999999-?$/,
    what: 'answer',
    from: '200',
    to: /^(?:206|416)/,
  },
  {
    reason: 'RFC 9110 §15.5.17: a 416 contains the size',
    where: / range=/,
    what: 'header content-range',
    from: 'none',
    to: /^bytes \*\/(?:0|100)$/,
  },
  {
    reason: 'aws-c-s3 recognizes an empty object by its size of 0 in the 416, which versitygw leaves out',
    where: /^GET \S+\/empty range=/,
    what: 'Error ActualObjectSize',
    from: 'none',
    to: '0',
  },
];

const OBJECTS: Difference[] = [
  {
    reason: 'the storage class is sent only where it is not STANDARD, as AWS does',
    where: OBJECT,
    what: 'header x-amz-storage-class',
    from: 'STANDARD',
    to: 'none',
  },
  {
    reason: 'error documents name the object, as AWS does for many; clients log it',
    where: ANY,
    what: /^Error (?:Key|BucketName)$/,
    from: 'none',
  },
  {
    reason: 'an unknown response-* is refused, as AWS does',
    where: /\?response-nonsense=x$/,
    what: 'answer',
    from: '200',
    to: /^400/,
  },
  {
    reason: 'an empty version ID is refused, as on AWS; versitygw takes it for none',
    where: /\?versionId$/,
    what: 'answer',
    from: '200',
    to: /^400/,
  },
];

const NAMES: Difference[] = [
  {
    reason: 'a bucket that is not on the allow-list does not exist, whatever its name',
    where: /^(?:GET|HEAD) \/(?:No-Such-Bucket|ab|a_b|-ab|a\.\.b)(?:[/?]|$)/,
    what: 'answer',
    from: /^400/,
    to: /^404/,
  },
  {
    reason: 'every response about a bucket has the region: clients look for it on errors',
    where: ANY,
    what: 'header x-amz-bucket-region',
    from: 'none',
    to: 'us-east-1',
  },
  {
    reason: 'a response without a body has Content-Length: 0: clients would wait for a body on a persistent connection',
    where: /^HEAD \/far-models/,
    what: 'header content-length',
    from: 'none',
    to: '0',
  },
  {
    reason: 'a key of 1024 bytes is S3’s longest; a file system that is an origin takes less',
    where: /…\(1036\)$/,
    what: 'answer',
    from: /^400/,
    to: /^404/,
  },
  {
    reason: 'a target that is not percent-encoded UTF-8 is InvalidURI, as on AWS',
    where: /^GET \/\S*(?:bad%|latin%e9)/,
    what: 'answer',
    from: /^(?:500|403)/,
    to: '400 Error InvalidURI',
  },
  {
    reason: 'paths are never normalized: the key is `../object`, and this signature is not that key’s',
    where: /\/%2e%2e\/object$/,
    what: 'answer',
    from: /^400/,
    to: /^403/,
  },
  {
    reason: 'both refuse a key that escapes its bucket; versitygw with a numeric code',
    where: /^GET .*\/\.\.\/far-models\/object$/,
    what: 'answer',
    from: '400 Error 400',
    to: '400 Error InvalidRequest',
  },
  {
    reason: 'a key with NUL is refused; a file system that is an origin fails over it',
    where: /\/nul%00$/,
    what: 'answer',
    from: /^500/,
    to: /^400/,
  },
];

const LISTS: Difference[] = [
  {
    reason: 'versitygw takes no notice of encoding-type; names are compared decoded',
    where: /[?&]encoding-type=url/,
    what: 'ListBucketResult EncodingType',
    from: 'none',
    to: 'url',
  },
  {
    reason: 'an owner has a name: older clients show it',
    where: ANY,
    what: /Owner\.DisplayName(?:\[\d+\])?$|Grantee\.DisplayName$/,
    from: 'none',
    to: 'some',
  },
  {
    reason: 'a query without a token gets none back; versitygw returns its start',
    where: /list-type=2.*[?&]start-after=/,
    what: 'ListBucketResult ContinuationToken',
    from: 'some',
    to: 'none',
  },
  {
    reason: 'V1 has a NextMarker only with a delimiter, as on AWS',
    where: /^GET \/far-models\?(?!.*delimiter=)/,
    what: 'ListBucketResult NextMarker',
    to: 'none',
  },
  {
    reason: 'a value that means nothing is refused, as on AWS: a mistaken token would skip keys',
    where: /[?&](?:encoding-type=base64|continuation-token(?:=nonsense)?|start-after=a|list-type(?:=[13x])?)$/,
    what: 'answer',
    from: /^200 List/,
    to: '400 Error InvalidArgument',
  },
  {
    reason: 'more keys than a page holds is a page, however many',
    where: /[?&]max-keys=(?:2147483648|9{20})$/,
    what: 'answer',
    from: '400 Error InvalidArgument',
    to: '200 ListBucketResult',
  },
];

const SUB_RESOURCES: Difference[] = [
  {
    reason: 'HEAD is what GET would say without its body; versitygw takes no notice of the sub-resource',
    where:
      /^HEAD \S+\?(?:accelerate|acl|analytics|attributes|cors|encryption|intelligent-tiering|inventory|legal-hold|lifecycle|logging|metrics|notification|object-lock|ownershipControls|policy|policyStatus|publicAccessBlock|replication|requestPayment|restore|retention|tagging|torrent|uploads|versions|website)$/,
    what: 'answer',
    from: /^(?:200|404)$/,
    to: /^(?:400|404|501)$/,
  },
  {
    reason: 'the same, where there is something to say',
    where: /^HEAD \/far-models\?(?:location|ownershipControls|versioning|versions)$/,
    what: /^header (?:content-length|content-type)$/,
    from: 'none',
  },
  {
    reason: 'the same of an object: its headers are not those of its tags',
    where: /^HEAD \/far-models\/object\?tagging$/,
    what: /^header /,
  },
  {
    reason: 'a date in a header is an HTTP date (RFC 9110)',
    where: /^GET \/far-models\/object\?attributes /,
    what: 'header last-modified',
  },
  {
    reason: 'rights of other accounts, and uploads, are not for clients of the cache, which has rights of its own',
    where: /^GET \/far-models\?(?:acl|policy|policyStatus|uploads)$/,
    what: 'answer',
    to: '501 Error NotImplemented',
  },
  {
    reason:
      'an operation that is not implemented is refused as such, whether the object exists or not, never answered with its bytes',
    where: /^GET \/far-models\/(?:object|missing)\?(?:acl|restore|torrent|uploads|uploadId=nonsense)/,
    what: 'answer',
    to: '501 Error NotImplemented',
  },
  {
    reason: 'a version has an owner, as on AWS',
    where: /^GET \/far-models\?versions/,
    what: /Owner\.(?:ID|DisplayName)(?:\[\d+\])?$/,
    from: 'none',
    to: 'some',
  },
  {
    reason: 'HEAD of the service is GET without its body',
    where: /^HEAD \/$/,
    what: 'answer',
    from: '405',
    to: '200',
  },
];

const SIGNATURES: Difference[] = [
  {
    reason: 'an unknown key is 403 InvalidAccessKeyId, as on AWS',
    where: / auth=.*"nobody"/,
    what: 'answer',
    from: /^404/,
    to: /^403/,
  },
  {
    reason: 'a URL that is good for no second is malformed, as on AWS',
    where: / auth=.*"expires":"0"/,
    what: 'answer',
    from: /^403/,
    to: /^400/,
  },
  {
    reason: 'a URL that was signed in the future is not good yet',
    where: / auth=.*"presigned","ageMs":-/,
    what: 'answer',
    from: '200',
    to: /^403/,
  },
  {
    reason: 'the Authorization header is not echoed',
    where: / authorization=/,
    what: 'Error ArgumentValue',
    to: 'none',
  },
  {
    reason: 'an empty Authorization header is malformed',
    where: / authorization=$/,
    what: 'answer',
    from: /^403/,
    to: /^400/,
  },
  {
    reason: 'a hash that no empty body has is seen before the signature is looked at',
    where: / x-amz-content-sha256=0{64}$/,
    what: 'answer',
    from: /^403/,
    to: /^400/,
  },
];

export const DIFFERENCES: readonly Difference[] = [
  ...READ_ONLY,
  ...CONDITIONS,
  ...RANGES,
  ...OBJECTS,
  ...NAMES,
  ...LISTS,
  ...SUB_RESOURCES,
  ...SIGNATURES,
];
