/** Passes TCP connections on: `node relay.ts PORT=HOST:PORT…`. Stands alone, because it runs from a ConfigMap. */
import { connect, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';

const servers: Server[] = process.argv.slice(2).map((route) => {
  const [, from, host, to] = /^(\d+)=(.+):(\d+)$/.exec(route) ?? [];
  if (from === undefined || host === undefined || to === undefined) throw new Error(`${route} is not PORT=HOST:PORT`);
  return createServer({ allowHalfOpen: true }, (incoming) => {
    const outgoing = connect({ host, port: Number(to), allowHalfOpen: true });
    // An end that breaks must break the other: half an answer may not look like a whole one.
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
