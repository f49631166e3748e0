/** The process of the clients: `node client-main.ts HOST:PORT BUCKET`, started by openClients in clients.ts. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import type { FromClients, ToClients } from './clients.ts';
import { startLoad, type Load } from './load.ts';
import { KNOWN } from './objects.ts';
import { openReader } from './reader.ts';
import { newTally } from './tally.ts';

const PROGRESS_MS = 250;

const [edge = '', bucket = ''] = process.argv.slice(2);
const reader = openReader(edge, bucket);
let tally = newTally();
let load: Load | undefined;
const delays = monitorEventLoopDelay();
delays.enable();
const send = (message: FromClients): void => void process.send?.(message);

function count(): void {
  tally = newTally();
  reader.countIn(tally);
}

async function obey(message: ToClients): Promise<void> {
  switch (message.type) {
    case 'read-known':
      count();
      await Promise.all(KNOWN.map((key) => reader.read(key)));
      send({ type: 'done', tally, coldBytes: 0 });
      break;
    case 'start':
      count();
      delays.reset();
      load = startLoad({ ...message.load, reader, tally });
      break;
    case 'stop':
      await load?.stop();
      tally.longestStallMs = delays.max / 1e6;
      send({ type: 'done', tally, coldBytes: load?.coldBytes ?? 0 });
      load = undefined;
      break;
  }
}

process.on('message', (message: ToClients) => void obey(message));
setInterval(() => {
  if (load !== undefined) send({ type: 'progress', coldBytes: load.coldBytes });
}, PROGRESS_MS).unref();
process.on('disconnect', () => process.exit());
