/** Runs hack/judge, a program that embeds the libraries of Prometheus, kstatus and Argo CD. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { sendInput } from '#test/support/program-input.ts';

export interface JudgeResult {
  readonly status: string;
  readonly message: string;
}

const TIMEOUT_MS = 20_000;

export async function judge(args: readonly string[], inputs: readonly unknown[]): Promise<JudgeResult[]> {
  const child = spawn('judge', args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  sendInput(child, JSON.stringify(inputs));
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve, reject) => child.once('close', resolve).once('error', reject)),
  ]);
  if (code !== 0) throw new Error(`judge ${args.join(' ')} exited with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout) as JudgeResult[];
}
