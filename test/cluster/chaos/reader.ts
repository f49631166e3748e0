/**
 * A client as applications are: the AWS SDK with its default of three attempts, over one pool of connections, outside of
 * the pods. It compares every byte as it comes.
 */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Agent, type IncomingMessage } from 'node:http';
import { isAt, etagOf, sizeOf } from '#hack/demo-support/synthetic-bytes.ts';
import { isKnown } from './objects.ts';
import { addReason, type Tally } from './tally.ts';

/**
 * An application's setting: a lost node does not refuse connections, it is silent. In a cluster a connection that takes a
 * second will not succeed; the SDK's own default is to wait without a limit.
 */
const CONNECT_TIMEOUT_MS = 1_000;
/** More than the cache itself gives a silent replica and then its origin. */
const SILENCE_TIMEOUT_MS = 10_000;
/** More than reads at once: the SDK counts the wait for one of its 50 as time to connect. */
const MAX_SOCKETS = 256;
/** As transfer managers do when a body breaks, where the SDK's own retries have ended. */
const BODIES = 3;

export interface ByteSpan {
  readonly from: number;
  /** Excluded. */
  readonly to: number;
}

export interface Reader {
  /** Reads the object or a span of it; the outcome is in the tally. Never rejects. */
  read(key: string, span?: ByteSpan): Promise<'read' | 'failed'>;
  /** From now on reads are counted there. */
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

  /** One call of the SDK and the body it gives. */
  async function once(counts: Tally, key: string, span: ByteSpan, isRange: boolean, onAttempt: () => void) {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(isRange && { Range: `bytes=${span.from}-${span.to - 1}` }),
    });
    // The second count: this runs for each attempt, and retries nothing.
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
    // Without an error: the worst that can be.
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
          // Its reasons were noted attempt by attempt, and the SDK's retries are what an application gets.
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
