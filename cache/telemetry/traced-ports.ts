/** Origin, cachestore and peers with a span around each call. Used only where spans are exported. */
import type { Origin, PeerClient, ProbedStore } from '#cache/engine/ports.ts';
import { traced, type SpanAttributes } from '#shared/trace.ts';

type Port = Origin | ProbedStore | PeerClient;

/** The calls of each port that reach another process, with the attributes that identify the object or chunk. */
export function tracedPort<P extends Port>(
  port: P,
  kind: 'origin' | 'store' | 'peer',
  calls: { readonly [Name in keyof P]?: (...parameters: never[]) => SpanAttributes },
): P {
  // Methods of classes use private fields, so they run with the port itself as `this`.
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method = value as (...parameters: unknown[]) => unknown;
      const describe = calls[name as keyof P] as ((...parameters: unknown[]) => SpanAttributes) | undefined;
      if (describe === undefined) return method.bind(target);
      return (...parameters: unknown[]) =>
        traced(
          `${kind} ${String(name)}`,
          describe(...parameters),
          () => method.apply(target, parameters) as Promise<unknown>,
        );
    },
  });
}

const object = (bucket: string, key: string): SpanAttributes => ({ 'orca.bucket': bucket, 'orca.key': key });

export function tracedOrigin(origin: Origin): Origin {
  return tracedPort(origin, 'origin', {
    head: (bucket: string, key: string) => object(bucket, key),
    read: ({ bucket, key }: { bucket: string; key: string }, range: { from: number; to: number }) => ({
      ...object(bucket, key),
      'orca.range': `${range.from}-${range.to - 1}`,
    }),
    list: (bucket: string) => ({ 'orca.bucket': bucket }),
  });
}

export function tracedStore(store: ProbedStore): ProbedStore {
  const chunk = ({ path }: { path: string }): SpanAttributes => ({ 'orca.chunk': path });
  return tracedPort(store, 'store', {
    read: chunk,
    has: chunk,
    commit: chunk,
    list: (prefix: string) => ({ 'orca.prefix': prefix }),
    remove: (names: readonly string[]) => ({ 'orca.names': names.length }),
  });
}

export function tracedPeers(client: PeerClient): PeerClient {
  return tracedPort(client, 'peer', {
    fill: (peer: string, { chunk }: { chunk: { path: string } }) => ({ 'orca.peer': peer, 'orca.chunk': chunk.path }),
    warm: (peer: string, { chunk }: { chunk: { path: string } }) => ({ 'orca.peer': peer, 'orca.chunk': chunk.path }),
    head: (peer: string) => ({ 'orca.peer': peer }),
    invalidate: (peer: string) => ({ 'orca.peer': peer }),
    reads: (peer: string) => ({ 'orca.peer': peer }),
    usage: (peer: string) => ({ 'orca.peer': peer }),
  });
}
