/** The edge's mounted Secrets: who may read, and the certificate. Both are taken up while running. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { join } from 'node:path';
import { parseEdgeKeys, type AuthType } from '#cache/config/edge-keys.ts';
import { openKeyRing, type KeyRing } from '#cache/core/s3/key-ring.ts';
import type { Clock } from '#shared/clock.ts';
import { follow, type Followed } from '#shared/follow.ts';
import type { Log } from '#shared/log.ts';
import type { TlsKeys } from '#cache/http/listener/http-listener.ts';

interface Context {
  readonly clock: Clock;
  readonly log: Log;
}

export type EdgeKeys = Followed<KeyRing> & { readonly type: AuthType };

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
): Promise<Followed<TlsKeys>> {
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

interface FilesOptions<T> extends Context {
  /** Read together, in this order. */
  readonly paths: readonly string[];
  /** Throws an Error that may be logged: without a secret. */
  readonly parse: (contents: readonly Buffer[]) => T;
  readonly onChange: (value: T) => void;
  /** For logs. */
  readonly what: string;
}

function followFiles<T>({ paths, parse, onChange, what, clock, log }: FilesOptions<T>): Promise<Followed<T>> {
  return follow({
    read: () => Promise.all(paths.map((path) => readFile(path))),
    same: (a, b) => a.every((bytes, index) => b[index]?.equals(bytes) === true),
    parse,
    onChange: (value) => {
      onChange(value);
      log.info(`${what} changed`);
    },
    onError: (error, isNews) => {
      if (isNews) log.warn(`${what} can't be used now; the last ones stay`, { error });
    },
    onEnd: (error) => log.error(`${what} are no longer followed`, { error }),
    clock,
  });
}
