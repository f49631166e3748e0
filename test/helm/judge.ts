/** Verdicts of the program that other programs' libraries are built into: hack/judge. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Verdict {
  readonly status: string;
  readonly message: string;
}

const TIMEOUT_MS = 20_000;

export async function judge(args: readonly string[], things: readonly unknown[]): Promise<Verdict[]> {
  const child = spawn('judge', args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  child.stdin.end(JSON.stringify(things));
  const [told, complaint, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve, reject) => child.once('close', resolve).once('error', reject)),
  ]);
  if (code !== 0) throw new Error(`judge ${args.join(' ')} ended with ${String(code)}: ${complaint}`);
  return JSON.parse(told) as Verdict[];
}
