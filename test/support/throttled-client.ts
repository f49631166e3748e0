/** A client with a small receive buffer that reads at a steady rate for some time, and then disconnects. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPT = join(import.meta.dirname, 'throttled-client.py');

export interface ThrottledRead {
  readonly port: number;
  readonly path: string;
  readonly bytesPerSecond: number;
  readonly seconds: number;
  readonly tls?: boolean;
}

/** `outcome` is `left` if the client disconnected before the response ended. */
export async function readThrottled(read: ThrottledRead): Promise<{ outcome: string; gotBytes: number }> {
  const { port, bytesPerSecond, tls = false, path, seconds } = read;
  const parameters = [SCRIPT, port, bytesPerSecond, tls ? 'tls' : 'tcp', path, seconds].map(String);
  const { stdout } = await promisify(execFile)('python3', parameters);
  const [, outcome = '', gotBytes = '0'] = /^(.*) (\d+)$/m.exec(stdout) ?? [];
  return { outcome, gotBytes: Number(gotBytes) };
}
