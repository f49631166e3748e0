/**
 * An in-memory Origin for engine tests: it passes the same conformance suite as the real drivers, and adds counters,
 * gates and faults.
 */
import { createHash } from 'node:crypto';
import { OrcaError } from '#cache/core/errors.ts';
import { compareKeys, PageBuilder } from '#cache/core/s3/listing.ts';
import type { SubResourceAnswer } from '#cache/core/s3/sub-resource.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import { partsCount } from '#cache/engine/metadata/multipart-parts.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import type { ByteSink, CallOptions, Clock, Origin } from '#cache/engine/ports.ts';
import { cancelledBy, copyInto } from '#cache/wire/http1/sink.ts';
import { FakeVersions, type StoredObject } from './fake-versions.ts';
import { createGate, type Gate } from './gate.ts';

export interface OriginFault {
  readonly on: 'head' | 'read' | 'probe' | 'list' | 'sub_resource';
  /** Only for this key (of any bucket); default: any. */
  readonly key?: string;
  /** How many calls it affects; default 1. */
  readonly times?: number;
  /** Reads: how many bytes the sink gets before the fault; default 0. */
  readonly afterBytes?: number;
  /**
   * An error: the call rejects with it. `cut`: the connection is closed (origin_unavailable). `short`: the call resolves
   * although bytes are missing, as a broken driver would. `stall`: no more bytes until the call is aborted or, with a
   * clock, reaches its stall limit.
   */
  readonly what: OrcaError | 'cut' | 'short' | 'stall';
}

export interface FakeOriginOptions {
  /** With a clock, every response takes `latencyMs` of its time. */
  readonly clock?: Clock;
  readonly latencyMs?: number;
  /** The most bytes that a read delivers at a time; default 64 KiB. */
  readonly pieceBytes?: number;
}

export interface FakeOrigin extends Origin {
  /** Stores an object, creating its bucket if needed, and returns its head; the ETag defaults to the body's MD5. */
  put(bucket: string, key: string, body: Uint8Array | string, options?: Partial<ObjectHead>): ObjectHead;
  /** In a bucket with versions, the ID of the delete marker. */
  remove(bucket: string, key: string): string | undefined;
  readonly versions: FakeVersions;
  /** Creates an empty bucket, so that a missing key is reported as such, not as a missing bucket. */
  createBucket(bucket: string): void;
  /** The owner of each bucket, by name. A bucket without an entry accepts any expected owner. */
  readonly owners: Map<string, string>;
  /** Documents by `BUCKET/KEY?NAME` (the key is empty for the bucket), with `&versionId=ID` for a version. */
  readonly documents: Map<string, SubResourceAnswer>;
  /** Applies a fault to the next matching calls; faults apply in the order of injection. */
  inject(fault: OriginFault): void;
  readonly counts: { heads: number; reads: number; probes: number; lists: number; subResources: number; bytes: number };
  /** Every read, as requested, in order. */
  readonly reads: { readonly bucket: string; readonly key: string; readonly etag: string; readonly range: ByteRange }[];
  /** Calls wait at these gates before they respond. */
  readonly headGate: Gate;
  readonly readGate: Gate;
  readonly closed: boolean;
}

const DEFAULT_PIECE_BYTES = 64 * 1024;

export function fakeOrigin(options: FakeOriginOptions = {}): FakeOrigin {
  const buckets = new Map<string, Map<string, StoredObject>>();
  const faults: { readonly fault: OriginFault; left: number }[] = [];
  const counts = { heads: 0, reads: 0, probes: 0, lists: 0, subResources: 0, bytes: 0 };
  const reads: FakeOrigin['reads'] = [];
  const owners = new Map<string, string>();
  const documents = new Map<string, SubResourceAnswer>();
  const versions = new FakeVersions();
  const headGate = createGate();
  const readGate = createGate();
  const pieceBytes = options.pieceBytes ?? DEFAULT_PIECE_BYTES;
  let closed = false;

  const bucketOf = (name: string): Map<string, StoredObject> => {
    const bucket = buckets.get(name);
    if (bucket === undefined) throw new OrcaError('bucket_not_found', `no bucket ${name}`, { status: 404 });
    return bucket;
  };
  const objectOf = (bucket: string, key: string, versionId?: string): StoredObject => {
    const object = bucketOf(bucket).get(key);
    if (versionId !== undefined) return versions.find(bucket, key, versionId);
    if (object !== undefined) return object;
    const headers = versions.markerOf(bucket, key);
    throw new OrcaError('not_found', `no object ${bucket}/${key}`, {
      status: 404,
      ...(headers !== undefined && { headers }),
    });
  };
  const takeFault = (on: OriginFault['on'], key: string): OriginFault | undefined => {
    const found = faults.find((entry) => entry.fault.on === on && (entry.fault.key ?? key) === key);
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left === 0) faults.splice(faults.indexOf(found), 1);
    return found.fault;
  };
  const enter = async (gate: Gate, call: CallOptions): Promise<void> => {
    await gate.pass(call.signal);
    if (options.clock !== undefined && options.latencyMs !== undefined) {
      await options.clock.sleep(options.latencyMs, call.signal).catch((error: unknown) => {
        throw call.signal.aborted ? cancelledBy(call.signal) : error;
      });
    }
    if (call.signal.aborted) throw cancelledBy(call.signal);
  };
  const strike = async (fault: OriginFault, call: CallOptions): Promise<void> => {
    if (fault.what instanceof OrcaError) throw fault.what;
    if (fault.what === 'cut') throw new OrcaError('origin_unavailable', 'the connection was cut (injected)');
    if (fault.what === 'stall') await stalled(options.clock, call);
  };

  return {
    counts,
    reads,
    owners,
    documents,
    versions,
    headGate,
    readGate,
    get closed() {
      return closed;
    },
    put(bucket, key, body, head = {}) {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body;
      const stored: ObjectHead = {
        etag: head.etag ?? md5Of(bytes),
        sizeBytes: bytes.length,
        lastModifiedMs: head.lastModifiedMs ?? Date.UTC(2026, 0, 2, 3, 4, 5),
        headers: head.headers ?? { 'content-type': 'binary/octet-stream' },
      };
      this.createBucket(bucket);
      const object = versions.put(bucket, key, { body: bytes, head: stored });
      bucketOf(bucket).set(key, object);
      return object.head;
    },
    remove(bucket, key) {
      buckets.get(bucket)?.delete(key);
      return versions.remove(bucket, key);
    },
    createBucket(bucket) {
      if (!buckets.has(bucket)) buckets.set(bucket, new Map());
    },
    inject(fault) {
      faults.push({ fault, left: fault.times ?? 1 });
    },
    async head(bucket, key, call, versionId) {
      counts.heads += 1;
      await enter(headGate, call);
      const fault = takeFault('head', key);
      if (fault !== undefined) await strike(fault, call);
      return objectOf(bucket, key, versionId).head;
    },
    async read(object: ObjectVersion, range: ByteRange, sink: ByteSink, call: CallOptions) {
      counts.reads += 1;
      reads.push({ bucket: object.bucket, key: object.key, etag: object.etag, range });
      await enter(readGate, call);
      const fault = takeFault('read', object.key);
      if (fault !== undefined && (fault.afterBytes ?? 0) === 0) {
        await strike(fault, call);
        if (fault.what === 'short') return;
      }
      const stored = objectOf(object.bucket, object.key, object.versionId);
      if (stored.head.etag !== object.etag || stored.head.sizeBytes !== object.sizeBytes)
        throw new OrcaError('object_changed', `${object.bucket}/${object.key} has another version`, { status: 412 });
      const to = Math.min(range.to, range.from + (fault?.afterBytes ?? Infinity));
      for (let at = range.from; at < to; at += pieceBytes) {
        const piece = stored.body.subarray(at, Math.min(at + pieceBytes, to));
        await copyInto(sink, piece, call.signal);
        counts.bytes += piece.length;
        await Promise.resolve();
      }
      if (fault !== undefined && to < range.to) await strike(fault, call);
    },
    async probe(bucket, prefix, call) {
      counts.probes += 1;
      if (call.signal.aborted) throw cancelledBy(call.signal);
      const fault = takeFault('probe', `${prefix}_orca-probe`);
      if (fault?.what instanceof OrcaError && fault.what.code === 'access_denied') return 'list_denied';
      if (fault !== undefined) await strike(fault, call);
      bucketOf(bucket);
      return 'reachable';
    },
    async part(object, part, call) {
      await enter(headGate, call);
      const { head } = objectOf(object.bucket, object.key, object.versionId);
      if (head.etag !== object.etag) throw new OrcaError('object_changed', 'another version', { status: 412 });
      const count = partsCount(head.etag);
      const partBytes = Math.ceil(head.sizeBytes / (count ?? 1));
      const from = (part - 1) * partBytes;
      if (from >= head.sizeBytes) throw new OrcaError('part_not_found', `no part ${part}`);
      return { range: { from, to: Math.min(from + partBytes, head.sizeBytes) }, count };
    },
    async checkOwner(bucket, key, expected, call) {
      counts.heads += 1;
      await enter(headGate, call);
      const fault = takeFault('head', key);
      if (fault !== undefined) await strike(fault, call);
      if ((owners.get(bucket) ?? expected) !== expected)
        throw new OrcaError('access_denied', 'another owner', { status: 403 });
    },
    async list(bucket, query, call) {
      counts.lists += 1;
      await enter(headGate, call);
      const fault = takeFault('list', query.prefix);
      if (fault !== undefined) await strike(fault, call);
      const builder = new PageBuilder(query);
      for (const [key, { head }] of [...bucketOf(bucket)].toSorted(([a], [b]) => compareKeys(a, b)))
        builder.add({ key, ...head, storageClass: 'STANDARD' });
      return builder.page();
    },
    async listBuckets(prefix, call) {
      counts.lists += 1;
      if (call.signal.aborted) throw cancelledBy(call.signal);
      const fault = takeFault('list', prefix);
      if (fault !== undefined) await strike(fault, call);
      return [...buckets.keys()].filter((name) => name.startsWith(prefix));
    },
    async listVersions(bucket, query, call) {
      counts.lists += 1;
      if (call.signal.aborted) throw cancelledBy(call.signal);
      bucketOf(bucket);
      return versions.list(bucket, query);
    },
    async subResource(bucket, key, { name }, call, versionId) {
      counts.subResources += 1;
      await enter(headGate, call);
      const fault = takeFault('sub_resource', key);
      if (fault !== undefined) await strike(fault, call);
      const answer = documents.get(
        `${bucket}/${key}?${name}${versionId === undefined ? '' : `&versionId=${versionId}`}`,
      );
      if (answer === undefined) throw new OrcaError('not_implemented', `no ?${name}`);
      return answer;
    },
    async close() {
      closed = true;
    },
  };
}

const md5s = new WeakMap<Uint8Array, string>();

/** Many tests store the same bytes. */
function md5Of(bytes: Uint8Array): string {
  const md5 = md5s.get(bytes) ?? createHash('md5').update(bytes).digest('hex');
  md5s.set(bytes, md5);
  return md5;
}

/** Rejects when the call is aborted or, with a clock, at the call's stall limit. */
async function stalled(clock: Clock | undefined, call: CallOptions): Promise<never> {
  if (call.signal.aborted) throw cancelledBy(call.signal);
  const end = Promise.withResolvers<never>();
  const onAbort = (): void => end.reject(cancelledBy(call.signal));
  call.signal.addEventListener('abort', onAbort, { once: true });
  const limitMs = call.stallTimeoutMs;
  const cancelTimer =
    clock === undefined || limitMs === undefined
      ? undefined
      : clock.after(limitMs, () =>
          end.reject(new OrcaError('origin_unavailable', `no bytes for ${limitMs} ms (injected)`)),
        );
  try {
    return await end.promise;
  } finally {
    cancelTimer?.();
    call.signal.removeEventListener('abort', onAbort);
  }
}
