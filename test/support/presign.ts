/** Presigned URLs as an SDK creates them; a test can falsify every part. */
import { createHash, createHmac } from 'node:crypto';
import { encodeRfc3986 } from '#cache/core/percent.ts';

export interface Presign {
  readonly method?: string;
  readonly host: string;
  /** As on the wire. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Text is what no number can be. */
  readonly expiresS?: number | string;
  readonly atMs: number;
}

/** The request target: path and signed query. */
export function presign(options: Presign): string {
  const { method = 'GET', host, path, query = {}, sessionToken, expiresS = 60 } = options;
  const date = new Date(options.atMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const scope = [date.slice(0, 8), 'us-east-1', 's3', 'aws4_request'];
  const fields: Record<string, string> = {
    ...query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': [options.accessKeyId, ...scope].join('/'),
    'X-Amz-Date': date,
    'X-Amz-Expires': String(expiresS),
    'X-Amz-SignedHeaders': 'host',
    ...(sessionToken !== undefined && { 'X-Amz-Security-Token': sessionToken }),
  };
  const pairs = Object.entries(fields)
    .map(([name, value]) => `${encodeRfc3986(name)}=${encodeRfc3986(value)}`)
    .toSorted()
    .join('&');
  const canonical = [method, path, pairs, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), digest].join('\n');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const signingKey = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${options.secretAccessKey}`);
  return `${path}?${pairs}&X-Amz-Signature=${hmac(signingKey, toSign).toString('hex')}`;
}
