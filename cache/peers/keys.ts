/**
 * The cluster's secret from its mounted directory: `key`, and `previous-key` while it is rotated. Read again while the
 * process runs; a directory that can't be read keeps the last good keys.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import type { Clock } from '#shared/clock.ts';
import { follow, type Followed } from '#shared/follow.ts';
import type { Log } from '#shared/log.ts';

export type PeerKeySource = Followed<PeerKeys>;

/** Shorter than half of what the operator makes: an empty or mistaken file. */
const MIN_KEY_BYTES = 16;

/** Rejects where there is no usable key at first. */
export function openPeerKeys(directory: string, clock: Clock, log: Log): Promise<PeerKeySource> {
  return follow({
    read: () => readPeerKeys(directory),
    same,
    parse: (keys) => keys,
    onChange: (keys) => log.info('the peer keys changed', { rotating: keys.previous !== undefined }),
    onError: (error) => log.warn('the peer keys are unreadable now; the last ones stay', { directory, error }),
    onEnd: (error) => log.error('the peer keys are no longer followed', { error }),
    clock,
  });
}

export async function readPeerKeys(directory: string): Promise<PeerKeys> {
  const current = await readFile(join(directory, 'key'));
  if (current.length < MIN_KEY_BYTES)
    throw new Error(`${join(directory, 'key')} holds fewer than ${MIN_KEY_BYTES} bytes: that is no peer key`);
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
