/**
 * How the responses of a cache in front of Azure (`to`) differ from those of one in front of versitygw (`from`), and why.
 * ETags and dates always differ, and are not compared.
 */
import type { Difference } from './compare.ts';

export const AZURE_DIFFERENCES: readonly Difference[] = [
  {
    reason: 'Azure keeps no checksums that S3 knows',
    where: /^/,
    what: /^header x-amz-checksum-|^ListBucketResult Contents\.Checksum(?:Algorithm|Type)/,
    to: 'none',
  },
  {
    reason: 'Azure has neither Expires nor metadata without a value: none were put there',
    where: /\/object/,
    what: /^header (?:expires|x-amz-meta-empty)$/,
    to: 'none',
  },
  {
    reason: 'what has no type is of another default type there',
    where: /\/(?:empty|multipart|one-part|plain|summed|list)/,
    what: 'header content-type',
    from: 'binary/octet-stream',
    to: 'application/octet-stream',
  },
  {
    reason: 'versitygw marks the last page as truncated; a client then requests one more, empty page',
    where: /max-keys=1(?:&|$)/,
    what: /^ListBucketResult (?:IsTruncated|NextContinuationToken|NextMarker)$/,
    from: /^(?:true|some|list\/.*)$/,
    to: /^(?:false|none)$/,
  },
  {
    reason: 'blobs have no parts: the first is all of it',
    where: /\/(?:multipart|one-part)\?partNumber=0?1(?: |$)/,
    what: /^(?:body|header (?:content-length|content-range|x-amz-mp-parts-count))$/,
  },
  {
    reason: 'and there is no other',
    where: /\/multipart\?partNumber=[23](?: |$)/,
    what: 'answer',
    from: '206',
    to: /^416/,
  },
  {
    reason: 'so that is how many there are',
    where: /\/multipart\?partNumber=/,
    what: 'Error ActualPartCount',
    from: '3',
    to: '1',
  },
  {
    reason: 'for a file system `//` and `.` lead to the same object; to Azure, as to AWS, they are other keys',
    where: /\/far-models\/(?:\/|\.\/|list\/\.\.\/)object$/,
    what: 'answer',
    from: '200',
    to: /^404/,
  },
  {
    reason: 'Azure knows no owners of S3',
    where: / x-amz-expected-bucket-owner=somebody-else$/,
    what: 'answer',
    from: /^403/,
    to: /^200/,
  },
  {
    reason:
      'a blob without a version is the null version; versitygw has none of that name unless buckets can keep versions',
    where: /\?versionId=null$/,
    what: 'answer',
    from: /^400/,
    to: '200',
  },
  {
    reason: 'Azure has no such documents of a bucket or an object, and cannot list versions in the order of S3',
    where:
      /\?(?:accelerate|cors|encryption|legal-hold|lifecycle|object-lock|ownershipControls|publicAccessBlock|requestPayment|retention|tagging|versioning|versions|website)$/,
    what: 'answer',
    to: /^501/,
  },
  {
    reason: 'the ETag is Azure’s, in this document too',
    where: /\?attributes x-amz-object-attributes=/,
    what: 'GetObjectAttributesResponse ETag',
  },
];
