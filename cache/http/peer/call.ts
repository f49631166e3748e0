/** What the peer listener is opened with, and one request of another replica as its handler sees it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Chunk } from '#cache/core/chunk.ts';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import type { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { ShedReason } from '#cache/http/listener/connection-table.ts';
import type { StallOutcome } from '#cache/http/listener/send-body.ts';
import type { UnackedBytes } from '#cache/http/listener/send-queues.ts';
import type { Log } from '#shared/log.ts';
import type { Tracer } from '#shared/trace.ts';
import type { Requester } from './answer.ts';

export interface PeerListenerOptions {
  readonly engine: Engine;
  readonly peers: PeerView;
  /** Undefined = development: no MACs, no proofs. */
  readonly keys: { current(): PeerKeys } | undefined;
  readonly originId: string;
  readonly buckets: BucketTable;
  readonly maxChunkSizeBytes: number;
  /** undefined = no spans. */
  readonly tracer: Tracer | undefined;
  readonly clock: Clock;
  readonly unackedBytes: UnackedBytes;
  readonly observer: {
    peerRequest(call: string, outcome: string): void;
    peerStalled(outcome: StallOutcome): void;
    peerShed(reason: ShedReason): void;
  };
  readonly log: Log;
}

export interface PeerCall {
  readonly options: PeerListenerOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requester: Requester | undefined;
  readonly query: string;
  readonly signal: AbortSignal;
  /** Stops the 102 responses; to be called right before the status line. */
  readonly stopProcessing: () => void;
  /** Throws bad_request for a replay. To be called before the call changes something. */
  readonly admitOnce: () => void;
  /** The ETag of the version that the call concerns, once known: the proof of a refusal covers it. */
  etag: string;
  /** The chunk that the call concerns, once known. */
  chunk?: Chunk;
}

/** Resolves with the outcome for the metrics. */
export type Handler = (call: PeerCall) => Promise<string>;
