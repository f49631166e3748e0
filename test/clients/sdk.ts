/** @aws-sdk/client-s3, as a program in Node uses it. */
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { BUCKET } from '#test/support/replicas.ts';
import { readRanges, type Reading } from './reading.ts';
import { sha256, TREE } from './tree.ts';
import type { World } from './world.ts';

export async function readWithSdk({ endpoint, key }: World): Promise<Reading> {
  // It writes into the credentials that it is given.
  const client = new S3Client({ endpoint, region: 'eu-west-1', forcePathStyle: true, credentials: { ...key } });
  const get = async (key: string, range?: string): Promise<Uint8Array> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key, Range: range }));
    return (await Body?.transformToByteArray()) ?? new Uint8Array();
  };
  try {
    const listed: string[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client, pageSize: 5 }, { Bucket: BUCKET }))
      listed.push(...Contents.map(({ Key = '' }) => Key));
    const whole: Record<string, string> = {};
    for (const { key } of TREE) whole[key] = sha256(await get(key));
    const ranges = await readRanges((key, from, to) => get(key, `bytes=${from}-${to - 1}`));
    return { listed: listed.toSorted(), whole, ranges };
  } finally {
    client.destroy();
  }
}
