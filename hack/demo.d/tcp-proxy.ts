/** Forwards TCP connections: `node tcp-proxy.ts PORT=HOST:PORT…`. It imports no other module, because it runs from a ConfigMap. */
import { connect, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';

const servers: Server[] = process.argv.slice(2).map((route) => {
  const [, from, host, to] = /^(\d+)=(.+):(\d+)$/.exec(route) ?? [];
  if (from === undefined || host === undefined || to === undefined)
    throw new Error(`invalid route ${route}: expected PORT=HOST:PORT`);
  return createServer({ allowHalfOpen: true }, (incoming) => {
    const outgoing = connect({ host, port: Number(to), allowHalfOpen: true });
    // Resets the other side after an error, so that a truncated response does not look complete.
    pipeline(incoming, outgoing, (error) => {
      if (error) outgoing.resetAndDestroy();
    });
    pipeline(outgoing, incoming, (error) => {
      if (error) incoming.resetAndDestroy();
    });
  }).listen(Number(from));
});

process.once('SIGTERM', () => {
  for (const server of servers) server.close();
  process.exit(0);
});
