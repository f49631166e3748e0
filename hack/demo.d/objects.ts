/** S3 as an application uses it: the unmodified SDK. Every body read is hashed; a broken one is read again. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Failure, messageOf } from './failure.ts';
import { readMaterial, type Material } from './material.ts';
import type { Credentials } from './servers.ts';

export interface StoredObject extends Material {
  readonly sha256: string;
}

/** An application reads again when a body breaks off; the SDK does so only until the first byte. */
const READ_ATTEMPTS = 6;
const SDK_ATTEMPTS = 6;
const RETRY_DELAY_MS = 200;
/** To an answer's head, and from then on without a byte: as bad as a broken connection. */
const STALL_TIMEOUT_MS = 60_000;
/** A body of some 100 MiB on a machine that does much else. */
const TOTAL_TIMEOUT_MS = 300_000;
const UPLOADS_AT_ONCE = 3;

export function openClient(endpoint: string, credentials?: Credentials): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: SDK_ATTEMPTS,
    // The cache asks nobody who they are; the SDK must have something to say nevertheless.
    credentials: credentials ?? { accessKeyId: 'anybody', secretAccessKey: 'anything' },
  });
}

export async function createBucket(client: S3Client, bucket: string, signal: AbortSignal): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal: bounded(signal, STALL_TIMEOUT_MS) });
}

export async function upload(
  client: S3Client,
  bucket: string,
  materials: readonly Material[],
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const stored: StoredObject[] = [];
  await inParallel(materials, UPLOADS_AT_ONCE, async (material, index) => {
    const body = await readMaterial(material);
    stored[index] = { ...material, sha256: createHash('sha256').update(body).digest('hex') };
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: material.key, Body: body, ContentLength: body.length }),
      { abortSignal: bounded(signal, TOTAL_TIMEOUT_MS) },
    );
  });
  return stored;
}

/** The same bytes under another key, made by the server. */
export async function copy(
  client: S3Client,
  bucket: string,
  object: StoredObject,
  key: string,
  signal: AbortSignal,
): Promise<StoredObject> {
  const source = `${bucket}/${object.key.split('/').map(encodeURIComponent).join('/')}`;
  await client.send(new CopyObjectCommand({ Bucket: bucket, Key: key, CopySource: source }), {
    abortSignal: bounded(signal, TOTAL_TIMEOUT_MS),
  });
  return { ...object, key };
}

export interface ReadTally {
  readonly bytes: number;
  /** Bodies that broke off, or requests that the SDK gave up on, and were done again. */
  readonly retries: number;
}

/** Throws unless the bytes are the object's. */
export async function readObject(
  client: S3Client,
  bucket: string,
  object: StoredObject,
  signal: AbortSignal,
): Promise<ReadTally> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { sha256, bytes } = await readOnce(client, bucket, object.key, signal);
      if (bytes !== object.sizeBytes || sha256 !== object.sha256)
        throw new WrongBytes(
          `${object.key}: got ${bytes} bytes with SHA-256 ${sha256}, the source has ${object.sizeBytes} with ${object.sha256}`,
        );
      return { bytes, retries: attempt - 1 };
    } catch (error) {
      signal.throwIfAborted();
      // Wrong bytes are what this is all about: never covered up by another try.
      if (error instanceof WrongBytes) throw error;
      if (attempt === READ_ATTEMPTS)
        throw new Failure(`reading ${object.key} failed ${attempt} times: ${messageOf(error)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS * attempt));
    }
  }
}

class WrongBytes extends Failure {}

async function readOnce(
  client: S3Client,
  bucket: string,
  key: string,
  signal: AbortSignal,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const stalled = new AbortController();
  const onStall = (): void => stalled.abort(new Failure(`no byte of ${key} for ${STALL_TIMEOUT_MS / 1000} s`));
  const abortSignal = AbortSignal.any([bounded(signal, TOTAL_TIMEOUT_MS), stalled.signal]);
  const timer = setTimeout(onStall, STALL_TIMEOUT_MS);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
    if (Body !== undefined) {
      const body = Body as IncomingMessage;
      const onAbort = (): void => void body.destroy(asError(abortSignal.reason));
      abortSignal.addEventListener('abort', onAbort, { once: true });
      for await (const piece of body as AsyncIterable<Buffer>) {
        timer.refresh();
        hash.update(piece);
        bytes += piece.length;
      }
    }
  } finally {
    clearTimeout(timer);
  }
  return { sha256: hash.digest('hex'), bytes };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Failure(String(reason));
}

export interface RangeAnswer {
  readonly bytes: Uint8Array;
  readonly contentRange: string | undefined;
}

export async function readRange(
  client: S3Client,
  bucket: string,
  key: string,
  range: string,
  signal: AbortSignal,
): Promise<RangeAnswer> {
  const abortSignal = bounded(signal, TOTAL_TIMEOUT_MS);
  const { Body, ContentRange } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }), {
    abortSignal,
  });
  return { bytes: (await Body?.transformToByteArray()) ?? new Uint8Array(), contentRange: ContentRange };
}

/** Runs `work` over all items, so many at once; the first failure ends it. */
export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = items.entries();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        await work(item, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function bounded(signal: AbortSignal, timeoutMs: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
}
