/** Clients under load: every byte is compared on arrival, and a client that gets 503 retries later. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isSynthetic, syntheticObject } from './synthetic-content.ts';
import { TEST_CA } from './tls-fixture.ts';

/** The size and interval of the reads of a slow client. */
const BITE_BYTES = 5_000;
const RETRY_MS = 1_000;
/** A client that reads as fast as it can. */
const FAST = Number.POSITIVE_INFINITY;

export interface LoadClient {
  readonly key: string;
  readonly gotBytes: number;
  /** The number of 503 responses. */
  readonly refusals: number;
  readonly isOver: boolean;
  /** How it ended; never rejects. */
  readonly ended: Promise<'whole' | 'wrong' | 'broken' | `status ${number}`>;
  /** From now on it reads as fast as it can. */
  hurry(): void;
  leave(): void;
}

/** Reads `path`, which is the object `key`, at `bytesPerSecond`. */
export function startClient(edge: string, bucket: string, key: string, bytesPerSecond = FAST): LoadClient {
  const { protocol, hostname: host, port } = new URL(edge);
  const open = () =>
    protocol === 'https:'
      ? connectTls({ host, port: Number(port), ca: TEST_CA })
      : connect({ host, port: Number(port) });
  const pauseMs = (1000 * BITE_BYTES) / bytesPerSecond;
  let socket: Socket | undefined;
  let hurries = bytesPerSecond === FAST;
  let gotBytes = 0;
  let refusals = 0;
  let isOver = false;

  async function* bites(from: Socket): AsyncGenerator<Buffer> {
    for await (const chunk of from as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length;) {
        const bite = hurries ? chunk.subarray(at) : chunk.subarray(at, at + BITE_BYTES);
        at += bite.length;
        yield bite;
        if (!hurries) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
  }

  const once = async (): Promise<'whole' | 'wrong' | 'broken' | 'later' | `status ${number}`> => {
    socket = open();
    socket.write(`GET /${bucket}/${key} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n`);
    let head = '';
    for await (const bite of bites(socket)) {
      let bytes = bite;
      if (!head.includes('\r\n\r\n')) {
        head += bytes.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) continue;
        const status = Number(head.slice('HTTP/1.1 '.length).split(' ', 1)[0]);
        if (status === 503 && /^retry-after: \d/im.test(head)) return 'later';
        if (status !== 200) return `status ${status}`;
        bytes = Buffer.from(head.slice(end + 4), 'latin1');
        head = head.slice(0, end + 4);
      }
      if (!isSynthetic(key, gotBytes, bytes)) return 'wrong';
      gotBytes += bytes.length;
    }
    return gotBytes === syntheticObject(key)?.sizeBytes ? 'whole' : 'broken';
  };

  const run = async () => {
    for (;;) {
      const outcome = await once().catch(() => 'broken' as const);
      if (outcome !== 'later') {
        isOver = true;
        socket?.destroy();
        return outcome;
      }
      refusals++;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  };
  return {
    key,
    ended: run(),
    get gotBytes() {
      return gotBytes;
    },
    get refusals() {
      return refusals;
    },
    get isOver() {
      return isOver;
    },
    hurry: () => void (hurries = true),
    leave: () => socket?.destroy(),
  };
}
