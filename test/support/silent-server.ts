/** Loopback servers that stop responding: before they accept a connection, after they read a request, or after a head. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export const SILENCES = ['never accepts', 'never answers', 'stops after a head'] as const;
export type Silence = (typeof SILENCES)[number];

export interface SilentServer extends AsyncDisposable {
  readonly endpoint: string;
  /** Connections open now; a server that never accepts does not count them. */
  readonly open: number;
}

/** `head` is what `stops after a head` sends. */
export function startSilentServer(silence: Silence, head: string): Promise<SilentServer> {
  return silence === 'never accepts' ? startDeaf() : startMute(silence === 'never answers' ? '' : head);
}

async function startMute(head: string): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', () => {
      if (head !== '') socket.write(head);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Listens, and then stops running: as soon as the accept queue is full, the kernel drops connection requests. */
const DEAF = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
/** The kernel queues one more than the backlog. */
const QUEUED = 2;

async function startDeaf(): Promise<SilentServer> {
  const child = spawn(process.execPath, ['-e', DEAF], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(text.toString());
  const fillers = Array.from({ length: QUEUED }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(fillers.map((socket) => once(socket, 'connect')));
  return {
    endpoint: `http://127.0.0.1:${port}`,
    open: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
