/** The content of both servers of a comparison, whichever API uploads it. */
import { patternBytes } from '#test/support/engines.ts';
import { MIB } from '#test/support/replicas.ts';
import { LISTED, OBJECT_BYTES } from './requests.ts';

/** An object, with the header names of S3. */
export interface Content {
  readonly key: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** Uploaded in parts of these sizes. */
  readonly partSizes?: readonly number[];
}

export const CONTENT: readonly Content[] = [
  {
    key: 'object',
    body: patternBytes(OBJECT_BYTES),
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'inline; filename="a.txt"',
      'content-language': 'en',
      'content-encoding': 'identity',
      'cache-control': 'max-age=60',
      expires: 'Thu, 01 Dec 2094 16:00:00 GMT',
      'x-amz-meta-owner': 'somebody',
      'x-amz-meta-empty': '',
    },
  },
  { key: 'empty', body: Buffer.alloc(0), headers: {} },
  { key: 'plain', body: Buffer.from('plain'), headers: {} },
  { key: 'summed', body: Buffer.from('123456789'), headers: { 'x-amz-checksum-crc32': 'y/Q5Jg==' } },
  ...LISTED.map((key) => ({ key, body: Buffer.from(key), headers: {} })),
  inParts('multipart', [5 * MIB, 5 * MIB, 123]),
  inParts('one-part', [1000]),
];

function inParts(key: string, partSizes: readonly number[]): Content {
  const sizeBytes = partSizes.reduce((sum, size) => sum + size, 0);
  return { key, body: patternBytes(sizeBytes, partSizes.length), headers: {}, partSizes };
}
