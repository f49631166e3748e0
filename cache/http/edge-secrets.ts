/** The edge's mounted Secrets: who may read, and the certificate. Both are taken up while running. */
import { createSecureContext } from 'node:tls';
import { join } from 'node:path';
import { parseEdgeKeys, type AuthType } from '#cache/config/edge-keys.ts';
import { openKeyRing, type KeyRing } from '#cache/core/key-ring.ts';
import type { Clock } from '#shared/clock.ts';
import { followFiles, type FollowedFiles } from '#shared/follow-file.ts';
import type { Log } from '#shared/log.ts';
import type { TlsKeys } from './connections.ts';

interface Context {
  readonly clock: Clock;
  readonly log: Log;
}

export type EdgeKeys = FollowedFiles<KeyRing> & { readonly type: AuthType };

/** Rejects where there is no usable file at first. */
export async function openEdgeKeys(
  auth: { readonly type: AuthType; readonly directory: string },
  context: Context,
): Promise<EdgeKeys> {
  const path = join(auth.directory, 'keys.yaml');
  const followed = await followFiles({
    ...context,
    paths: [path],
    parse([file]) {
      const reading = parseEdgeKeys(file?.toString('utf8') ?? '', auth.type);
      if (!reading.ok) throw new Error(reading.mistakes.map((mistake) => `${path}: ${mistake}`).join('\n'));
      return openKeyRing(reading.keys);
    },
    onChange: () => {},
    what: 'the keys of the edge',
  });
  return { ...followed, type: auth.type };
}

/** The same for `tls.crt` and `tls.key`; a pair that does not belong together is none. */
export function openTlsKeys(
  directory: string,
  context: Context & { readonly onChange: (keys: TlsKeys) => void },
): Promise<FollowedFiles<TlsKeys>> {
  const paths = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  return followFiles({
    ...context,
    paths,
    parse([cert = Buffer.alloc(0), key = Buffer.alloc(0)]) {
      try {
        createSecureContext({ cert, key });
      } catch (error) {
        throw new Error(`${paths.join(' and ')} are no certificate with its key`, { cause: error });
      }
      return { cert, key };
    },
    what: 'the certificate of the edge',
  });
}
