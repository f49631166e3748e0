/**
 * The cluster's shared secret from its mounted directory: `key`, and `previous-key` during a rotation. It is reread
 * while the process runs; an unreadable directory keeps the last valid keys.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import type { Clock } from '#shared/clock.ts';
import { follow, type Followed } from '#shared/follow.ts';
import type { Log } from '#shared/log.ts';

export type PeerKeySource = Followed<PeerKeys>;

/** Half the length of the operator's keys: a shorter file is empty or wrong. */
const MIN_KEY_BYTES = 16;

/** Rejects if there is no usable key at the start. */
export function openPeerKeys(directory: string, clock: Clock, log: Log): Promise<PeerKeySource> {
  return follow({
    read: () => readPeerKeys(directory),
    same,
    parse: (keys) => keys,
    onChange: (keys) => log.info('peer keys: reloaded', { rotating: keys.previous !== undefined }),
    onError: (error) => log.warn('peer keys: unreadable; keeping the last valid keys', { directory, error }),
    onEnd: (error) => log.error('peer keys: no longer watched for changes', { error }),
    clock,
  });
}

export async function readPeerKeys(directory: string): Promise<PeerKeys> {
  const current = await readFile(join(directory, 'key'));
  if (current.length < MIN_KEY_BYTES)
    throw new Error(`${join(directory, 'key')} has fewer than ${MIN_KEY_BYTES} bytes: not a peer key`);
  let previous: Buffer | undefined;
  try {
    previous = await readFile(join(directory, 'previous-key'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return { current, previous: previous === undefined || previous.length < MIN_KEY_BYTES ? undefined : previous };
}

function same(a: PeerKeys, b: PeerKeys): boolean {
  const bytes = (key: Uint8Array | undefined): string => Buffer.from(key ?? []).toString('base64');
  return bytes(a.current) === bytes(b.current) && bytes(a.previous) === bytes(b.previous);
}
