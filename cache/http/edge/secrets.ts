/** The edge's mounted Secrets, access keys and TLS certificate, both reloaded while running. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { parseEdgeKeys, type AuthType } from '#cache/config/edge-keys.ts';
import { openKeyRing, type KeyRing } from '#cache/core/s3/key-ring.ts';
import type { TlsKeys } from '#cache/http/listener/http-listener.ts';
import type { Clock } from '#shared/clock.ts';
import { follow, type Followed } from '#shared/follow.ts';
import type { Log } from '#shared/log.ts';

interface Context {
  readonly clock: Clock;
  readonly log: Log;
}

export type EdgeKeys = Followed<KeyRing> & { readonly type: AuthType };

/** Rejects if there is no valid file at the start. */
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
      if (!reading.ok) throw new Error(reading.problems.map((problem) => `${path}: ${problem}`).join('\n'));
      return openKeyRing(reading.keys);
    },
    onChange: () => {},
    what: 'edge keys',
  });
  return { ...followed, type: auth.type };
}

/** The same for `tls.crt` and `tls.key`; a mismatched pair is invalid. */
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
        throw new Error(`${paths.join(' and ')} are not a certificate and its key`, { cause: error });
      }
      return { cert, key };
    },
    what: 'edge certificate',
  });
}

interface FilesOptions<T> extends Context {
  /** Read together, in this order. */
  readonly paths: readonly string[];
  /** Throws an Error that is safe to log: without secrets. */
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
      log.info(`${what}: reloaded`);
    },
    onError: (error, isNews) => {
      if (isNews) log.warn(`${what}: invalid; keeping the last valid ones`, { error });
    },
    onEnd: (error) => log.error(`${what}: no longer watched for changes`, { error }),
    clock,
  });
}
