/**
 * `GET /objects`: one object's chunks (`key`), or a page of a bucket (`prefix`). Read-only: it sends the origin what a
 * client's HEAD or list would send, and no bytes of objects are part of an answer. A failure is a Kubernetes Status,
 * because kubectl and other clients that come through the API server's proxy show the message of one.
 */
import type { Context } from 'hono';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { rowFor } from '#cache/http/respond.ts';
import { withDeadline } from '#shared/abortable.ts';
import { openSemaphore } from '#shared/semaphore.ts';
import { describeChunks, type ChunksOptions } from './object-chunks.ts';
import { listObjects, MAX_LISTED, type ObjectListOptions } from './object-list.ts';

export interface ObjectsOptions {
  readonly engine: ChunksOptions['engine'] & ObjectListOptions['engine'];
  readonly peers: ChunksOptions['peers'];
  readonly originId: string;
  readonly buckets: ObjectListOptions['buckets'];
  readonly chunking: ObjectListOptions['chunking'];
  /** The prewarm that a pin belongs to, if it is one of this cache. */
  readonly pinOwner: ObjectListOptions['pinOwner'];
  readonly clock: Clock;
}

/** A page of 100 objects takes 13 rounds of requests to the cachestore; the API server's proxy waits for a minute. */
const TIMEOUT_MS = 30_000;
/** People ask, one at a time; the connections of the listener bound the queue. */
const AT_ONCE = 2;
const COUNT = /^\d{1,9}$/;

export function objectsHandler(options: ObjectsOptions): (c: Context) => Promise<Response> {
  const withPermit = openSemaphore(AT_ONCE);
  const late = () => new OrcaError('overloaded', `no complete answer within ${TIMEOUT_MS} ms: ask for less`);
  return async (c) => {
    try {
      const answer = await withDeadline(options.clock, TIMEOUT_MS, late, c.req.raw.signal, (signal) =>
        withPermit(signal, () => answerOf(options, c, signal)),
      );
      return c.json(answer);
    } catch (thrown) {
      return failure(asOrcaError(thrown, 'internal', 'unexpected'));
    }
  };
}

function answerOf(options: ObjectsOptions, c: Context, signal: AbortSignal): Promise<unknown> {
  const bucket = c.req.query('bucket') ?? '';
  const key = c.req.query('key');
  if (bucket === '') throw new OrcaError('bad_request', 'bucket is missing: /objects?bucket=BUCKET&key=KEY');
  const stored = c.req.query('stored') !== 'false';
  if (key !== undefined && key !== '')
    return describeChunks(
      options,
      { bucket, key, range: c.req.query('range'), skip: countOf(c, 'skip', 0), stored },
      signal,
    );
  const query = {
    bucket,
    prefix: c.req.query('prefix') ?? '',
    delimiter: c.req.query('delimiter') ?? '',
    after: c.req.query('after') ?? '',
    limit: Math.max(1, countOf(c, 'limit', MAX_LISTED)),
    stored,
    use: c.req.query('use') === 'true',
  };
  return listObjects(options, query, signal);
}

function countOf(c: Context, name: string, otherwise: number): number {
  const text = c.req.query(name);
  if (text === undefined) return otherwise;
  if (!COUNT.test(text)) throw new OrcaError('bad_request', `${name} must be a number from 0 to 999999999`);
  return Number(text);
}

function failure(error: OrcaError): Response {
  const { status } = rowFor(error);
  const body = { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason: error.code, message: error.message };
  return Response.json({ ...body, code: status }, { status });
}
