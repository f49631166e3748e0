/** Recognizes the errors of an S3 server for a request that was signed for, or sent to, another region than the bucket's. Pure. */
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import type { S3Fault } from './client.ts';

const WRONG_REGION = new Set(['PermanentRedirect', 'IllegalLocationConstraintException']);
const REGION_NAME = /^[a-z0-9-]{2,40}$/i;
/** AWS's host names: `s3.REGION.amazonaws.com`, `s3-REGION.amazonaws.com`, with the bucket or `dualstack` before it. */
const AWS_HOST = /(?:^|\.)s3[.-](?:dualstack\.)?(?<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/;
const MESSAGES = [/expecting '(?<region>[a-z0-9-]+)'/i, /^The (?<region>[a-z0-9-]+) location constraint/i];

export interface RegionError {
  /** Empty if the server does not name it. */
  readonly region: string;
}

/** Undefined for an error that does not concern the region. */
export function regionError(
  status: number,
  { code, message, region, endpoint }: S3Fault,
  headers: ResponseHeaders,
): RegionError | undefined {
  const candidates = [
    headers['x-amz-bucket-region'],
    region,
    AWS_HOST.exec(endpoint)?.groups?.['region'],
    ...MESSAGES.map((pattern) => pattern.exec(message)?.groups?.['region']),
  ];
  const named = candidates.find((name) => name !== undefined && REGION_NAME.test(name)) ?? '';
  // A redirect without an S3 code may come from a proxy. 307 with a region: the name service still lists another one.
  const isRedirect = (status === 301 || status === 307 || status === 308) && named !== '';
  const isMalformed = code === 'AuthorizationHeaderMalformed' && named !== '';
  return WRONG_REGION.has(code) || isRedirect || isMalformed ? { region: named } : undefined;
}
