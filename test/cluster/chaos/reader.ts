/**
 * A client like an application's: the AWS SDK with its default of three attempts and one connection pool, outside the
 * pods. It compares every byte on arrival.
 */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Agent, type IncomingMessage } from 'node:http';
import { isAt, etagOf, sizeOf } from '#hack/demo-support/synthetic-bytes.ts';
import { isKnown } from './objects.ts';
import { addReason, type Tally } from './tally.ts';

/**
 * As an application should set it: a lost node does not refuse connections, it is silent. In a cluster, a connection that
 * takes longer than a second will not succeed; the SDK's default is to wait without a limit.
 */
const CONNECT_TIMEOUT_MS = 1_000;
/** More than the cache itself waits for a silent replica and then for its origin. */
const SILENCE_TIMEOUT_MS = 10_000;
/** More than the concurrent reads: the SDK counts waiting for one of its default 50 sockets as connect time. */
const MAX_SOCKETS = 256;
/** Reads of a body before it counts as failed. The SDK does not retry a broken body; transfer managers do. */
const BODIES = 3;

export interface ByteSpan {
  readonly from: number;
  /** Excluded. */
  readonly to: number;
}

export interface Reader {
  /** Reads the object or a span of it; the outcome is in the tally. Never rejects. */
  read(key: string, span?: ByteSpan): Promise<'read' | 'failed'>;
  /** Counts all later reads in `tally`. */
  countIn(tally: Tally): void;
  close(): void;
}

export function openReader(edge: string, bucket: string): Reader {
  const client = new S3Client({
    endpoint: `http://${edge}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'client', secretAccessKey: 'client-secret' },
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_TIMEOUT_MS,
      httpAgent: new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
    },
  });
  let tally: Tally | undefined;

  /** One SDK call and its body. */
  async function once(counts: Tally, key: string, span: ByteSpan, isRange: boolean, onAttempt: () => void) {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(isRange && { Range: `bytes=${span.from}-${span.to - 1}` }),
    });
    // Counts per attempt: this middleware runs for each attempt, and does not retry.
    command.middlewareStack.add(
      (next) => async (call) => {
        onAttempt();
        try {
          const result = await next(call);
          const { headers } = result.response as { readonly headers: Readonly<Record<string, string>> };
          if (headers['x-cache'] === 'STALE') counts.stale += 1;
          return result;
        } catch (error) {
          addReason(counts, reasonOf(error));
          throw error;
        }
      },
      { step: 'finalizeRequest', priority: 'low', name: 'countAttempts' },
    );
    const output = await client.send(command);
    const body = output.Body as unknown as IncomingMessage;
    const etag = etagOf(bucket, key);
    let at = span.from;
    let wrong = output.ETag !== `"${etag}"`;
    try {
      for await (const piece of body as AsyncIterable<Buffer>) {
        if (at + piece.length > span.to || !isAt(etag, at, piece)) wrong = true;
        at += piece.length;
        counts.bytes += piece.length;
      }
    } catch (error) {
      if (wrong) counts.wrong += 1;
      addReason(counts, `after the status line: ${reasonOf(error)}`);
      return 'broken';
    }
    if (wrong) counts.wrong += 1;
    // A short body without an error is the worst failure.
    if (at < span.to) counts.short += 1;
    return 'whole';
  }

  return {
    async read(key, span) {
      const counts = tally;
      if (counts === undefined) throw new Error('no tally is active');
      const sizeBytes = sizeOf(key) ?? 0;
      const startedMs = performance.now();
      let attempts = 0;
      let broken = false;
      let outcome: 'read' | 'failed' = 'failed';
      for (let body = 1; body <= BODIES && outcome === 'failed'; body++) {
        try {
          const ended = await once(counts, key, span ?? { from: 0, to: sizeBytes }, span !== undefined, () => {
            attempts += 1;
          });
          if (ended === 'whole') outcome = 'read';
          else if (attempts === 1) broken = true;
        } catch {
          // The reasons were recorded per attempt. An application would not retry after the SDK either.
          break;
        }
      }
      counts.reads += 1;
      if (isKnown(key)) counts.knownMs.push(performance.now() - startedMs);
      if (attempts > 1 || outcome === 'failed') counts.firstFailed += 1;
      if (broken) counts.broken += 1;
      if (outcome === 'failed') counts.failures += 1;
      return outcome;
    },
    countIn(next) {
      tally = next;
    },
    close: () => client.destroy(),
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, $metadata } = error as { code?: string; $metadata?: { httpStatusCode?: number } };
  return [$metadata?.httpStatusCode, error.name, code, code === undefined ? error.message.slice(0, 80) : undefined]
    .filter((part) => part !== undefined)
    .join(' ');
}
