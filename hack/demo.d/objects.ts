/** Accesses S3 like an application, with the unmodified SDK. Hashes every body and retries truncated ones. */
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
import { readSource, type SourceFile } from './source-files.ts';
import type { Credentials } from './servers.ts';

export interface StoredObject extends SourceFile {
  readonly sha256: string;
}

/** An application retries a truncated body; the SDK retries only before the first byte. */
const READ_ATTEMPTS = 6;
const SDK_ATTEMPTS = 6;
const RETRY_DELAY_MS = 200;
/** How long a response may take to start, and to send its next bytes, before it is retried. */
const STALL_TIMEOUT_MS = 60_000;
/** Enough for a body of 100 MiB on a busy machine. */
const TOTAL_TIMEOUT_MS = 300_000;
const UPLOADS_AT_ONCE = 3;

export function openClient(endpoint: string, credentials?: Credentials): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: SDK_ATTEMPTS,
    // The cache needs no credentials, but the SDK does.
    credentials: credentials ?? { accessKeyId: 'unused', secretAccessKey: 'unused' },
  });
}

export async function createBucket(client: S3Client, bucket: string, signal: AbortSignal): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal: bounded(signal, STALL_TIMEOUT_MS) });
}

export async function upload(
  client: S3Client,
  bucket: string,
  sources: readonly SourceFile[],
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const stored: StoredObject[] = [];
  await inParallel(sources, UPLOADS_AT_ONCE, async (source, index) => {
    const body = await readSource(source);
    stored[index] = { ...source, sha256: createHash('sha256').update(body).digest('hex') };
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: source.key, Body: body, ContentLength: body.length }),
      { abortSignal: bounded(signal, TOTAL_TIMEOUT_MS) },
    );
  });
  return stored;
}

/** Copies an object to another key on the server. */
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
  /** Truncated bodies, and requests that the SDK gave up, that were retried. */
  readonly retries: number;
}

/** Throws if the bytes differ from the source. */
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
      // The demo exists to detect wrong bytes: a retry must not hide them.
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
  const onStall = (): void => stalled.abort(new Failure(`no bytes of ${key} for ${STALL_TIMEOUT_MS / 1000} s`));
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

export interface RangeResponse {
  readonly bytes: Uint8Array;
  readonly contentRange: string | undefined;
}

export async function readRange(
  client: S3Client,
  bucket: string,
  key: string,
  range: string,
  signal: AbortSignal,
): Promise<RangeResponse> {
  const abortSignal = bounded(signal, TOTAL_TIMEOUT_MS);
  const { Body, ContentRange } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }), {
    abortSignal,
  });
  return { bytes: (await Body?.transformToByteArray()) ?? new Uint8Array(), contentRange: ContentRange };
}

/** Runs `work` on all items, up to `atOnce` in parallel; the first failure ends it. */
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
