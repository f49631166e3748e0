#!/usr/bin/env node
/** `kubectl orca`: kubectl runs the program `kubectl-orca` of PATH. */
import { systemClock } from '#shared/clock.ts';
import { connect } from './cluster/connect.ts';
import { processIo } from './frame/io.ts';
import { run } from './run.ts';

const interrupted = new AbortController();
// A second Ctrl-C ends the program at once.
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
// `kubectl orca ls … | head` closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run({
  argv: process.argv.slice(2),
  io: processIo(process),
  clock: systemClock,
  signal: interrupted.signal,
  connect,
});
