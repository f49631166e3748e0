/** @aws-sdk/client-s3, as used by a Node.js program. */
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { BUCKET } from '#test/support/replicas.ts';
import { readRanges, type Reading } from './reading.ts';
import { sha256, TREE } from './tree.ts';
import { VIRTUAL_HOST_DOMAIN, type World } from './world.ts';

export async function readWithSdk(world: World, style: 'path' | 'virtual host' = 'path'): Promise<Reading> {
  const ca = world.caFile === undefined ? undefined : await readFile(world.caFile);
  const { hostname, port, protocol } = new URL(world.endpoint);
  const forcePathStyle = style === 'path';
  const client = new S3Client({
    endpoint: forcePathStyle ? world.endpoint : `${protocol}//${VIRTUAL_HOST_DOMAIN}:${port}`,
    region: 'eu-west-1',
    forcePathStyle,
    // A copy, because the SDK modifies it.
    credentials: { ...world.key },
    requestHandler: {
      httpAgent: new HttpAgent({ keepAlive: true, lookup: always(hostname) }),
      // A separate process would use NODE_EXTRA_CA_CERTS.
      httpsAgent: new HttpsAgent({ keepAlive: true, ca }),
    },
  });
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

/** Replaces DNS: resolves every name to `address`. */
function always(address: string): LookupFunction {
  return (_name, { all }, callback) => {
    if (all === true) callback(null, [{ address, family: 4 }]);
    else callback(null, address, 4);
  };
}
