/** The operator as a process of its own, with a kubeconfig for the fake API server. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { keepSaid, noteSecret } from './evidence.ts';
import type { FakeApiServer } from './fake-api-server.ts';
import { kubeconfigOf } from './kubeconfig.ts';

export interface OperatorProcess {
  readonly pid: number;
  readonly output: () => string;
  readonly stop: (signal: NodeJS.Signals) => void;
  readonly exit: Promise<number | null>;
}

/** Killed at the end of the test at the latest. */
export function startOperator(env: Record<string, string>, ...args: readonly string[]): OperatorProcess {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['operator/main.ts', ...args], {
    env: { PATH, HOME, PROBE_PORT: '0', METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const said = keepSaid('operator');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      output += String(part);
      said(String(part));
    });
  const exit = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return { pid: child.pid ?? 0, output: () => output, stop: (signal) => void child.kill(signal), exit };
}

/** `token` identifies its requests. */
export async function kubeconfigFor(api: FakeApiServer, token = ''): Promise<string> {
  if (token !== '') noteSecret('the operator’s token', token);
  const directory = await mkdtemp(join(tmpdir(), 'orca-operator-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, 'config');
  await writeFile(
    file,
    kubeconfigOf({
      cluster: { server: api.server.url.href, 'insecure-skip-tls-verify': true },
      user: token === '' ? {} : { token },
    }),
  );
  return file;
}
