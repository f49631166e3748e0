/** MinIO's client: V2 lists, whole and partial GETs. The Node.js that runs it must resolve the package `minio`. */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { json } from 'node:stream/consumers';

interface Job {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly keys: readonly string[];
  readonly ranges: readonly (readonly [string, number, number])[];
}

type Body = AsyncIterable<Uint8Array>;

/** The part of the client's API that is used here. */
interface Client {
  listObjectsV2(bucket: string, prefix: string, recursive: boolean): AsyncIterable<{ readonly name: string }>;
  getObject(bucket: string, key: string): Promise<Body>;
  getPartialObject(bucket: string, key: string, offset: number, length: number): Promise<Body>;
  statObject(bucket: string, key: string): Promise<{ readonly size: number }>;
  bucketExists(bucket: string): Promise<boolean>;
}
interface ClientOptions {
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly pathStyle: boolean;
}

const minio = createRequire(import.meta.url)('minio') as { readonly Client: new (options: ClientOptions) => Client };

async function sha256(body: Body): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of body) hash.update(piece);
  return hash.digest('hex');
}

const { endpoint, bucket, accessKeyId, secretAccessKey, keys, ranges } = (await json(process.stdin)) as Job;
const { hostname, port, protocol } = new URL(endpoint);
const client = new minio.Client({
  endPoint: hostname,
  port: Number(port),
  useSSL: protocol === 'https:',
  accessKey: accessKeyId,
  secretKey: secretAccessKey,
  pathStyle: true,
});
if (!(await client.bucketExists(bucket))) throw new Error(`no bucket ${bucket}`);
const listed: string[] = [];
for await (const { name } of client.listObjectsV2(bucket, '', true)) listed.push(name);
const whole: Record<string, string> = {};
for (const key of keys) whole[key] = await sha256(await client.getObject(bucket, key));
const parts: string[] = [];
for (const [key, from, to] of ranges)
  parts.push(await sha256(await client.getPartialObject(bucket, key, from, to - from)));
process.stdout.write(JSON.stringify({ listed: listed.toSorted(), whole, ranges: parts }));
