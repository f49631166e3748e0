/**
 * Formats and parses `POST /internal/warm`: the query names a chunk, as that of `GET /internal/fill`; the response, whether it
 * was committed. A release that does not know the call answers 400.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { parsePeerAddress, type PeerAddress } from '#cache/core/peer-set.ts';
import { FILL_PATH, formatFillTarget, parseFillQuery, PEER_TERMS } from './fill-request.ts';
import { refused } from './query.ts';

export const WARM_PATH = '/internal/warm';

const EPOCH = /^[0-9a-f]{16}$/;
const MAX_MESSAGE_LENGTH = 500;

/** The terms of a call, sent as headers. */
export interface WarmTerms {
  /** 2 if the call goes to the runner-up, otherwise 1. */
  readonly rank: 1 | 2;
  /** The requester's epoch. */
  readonly epoch: string;
  /** The cachestore has just answered the requester that it does not have the chunk. */
  readonly knownAbsent: boolean;
}

export type WarmAnswer =
  | { readonly state: 'stored'; readonly originBytes: number }
  /** It was not committed to the cachestore. */
  | { readonly state: 'not_stored'; readonly message: string }
  /** The two replicas' views of the cluster differ. */
  | { readonly state: 'not_coordinator'; readonly owner: PeerAddress | undefined };

export function formatWarmTarget(chunk: Chunk): string {
  return WARM_PATH + formatFillTarget({ chunk, range: { from: 0, to: chunk.lengthBytes } }).slice(FILL_PATH.length);
}

/** `query` is the part after the `?`. Throws `bad_request`. */
export function parseWarmQuery(query: string, limits: { readonly maxChunkSizeBytes: number }): Chunk {
  const { chunk, range } = parseFillQuery(query, limits);
  if (range.from !== 0 || range.to !== chunk.lengthBytes) throw refused('a chunk is warmed whole');
  return chunk;
}

/** Lower-case names. */
export function formatWarmTerms({ rank, epoch, knownAbsent }: WarmTerms): Record<string, string> {
  return {
    ...PEER_TERMS,
    'x-orca-rank': String(rank),
    'x-orca-epoch': epoch,
    ...(knownAbsent ? { 'x-orca-absent': '1' } : {}),
  };
}

/** Throws `bad_request`. */
export function parseWarmTerms(headers: Readonly<Record<string, string | readonly string[] | undefined>>): WarmTerms {
  const rank = headers['x-orca-rank'];
  const epoch = headers['x-orca-epoch'];
  const absent = headers['x-orca-absent'];
  if (rank !== '1' && rank !== '2') throw refused('X-Orca-Rank is malformed');
  if (typeof epoch !== 'string' || !EPOCH.test(epoch)) throw refused('X-Orca-Epoch is malformed');
  if (absent !== undefined && absent !== '1') throw refused('X-Orca-Absent is malformed');
  return { rank: rank === '1' ? 1 : 2, epoch, knownAbsent: absent !== undefined };
}

export function encodeWarmAnswer(answer: WarmAnswer): string {
  if (answer.state !== 'not_stored') return JSON.stringify(answer);
  return JSON.stringify({ ...answer, message: answer.message.slice(0, MAX_MESSAGE_LENGTH) });
}

/** Undefined if it is not an answer. */
export function decodeWarmAnswer(text: string): WarmAnswer | undefined {
  const { state, originBytes, message, owner } = parseObject(text) ?? {};
  if (state === 'stored')
    return Number.isSafeInteger(originBytes) && (originBytes as number) >= 0
      ? { state, originBytes: originBytes as number }
      : undefined;
  if (state === 'not_stored')
    return { state, message: typeof message === 'string' ? message.slice(0, MAX_MESSAGE_LENGTH) : '' };
  if (state === 'not_coordinator') return { state, owner: addressOf(owner) };
  return undefined;
}

function addressOf(value: unknown): PeerAddress | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    return parsePeerAddress(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
