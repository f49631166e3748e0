/** The commands that `hack/try` prints, run unchanged by a shell. */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '#hack/lab/free-ports.ts';
import { TryProcess } from '#test/support/try-process.ts';
import { runProgram } from './programs.ts';

/**
 * Starts `hack/try`, runs its command whose program is `name`, and returns what the command prints. `program` is the
 * path of that program, which may have another name.
 */
export async function runTryCommand(name: 'curl' | 'aws' | 'python3', program: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'orca-try-command-'));
  try {
    await using tried = new TryProcess(directory, ['--port', String(await freePort())]);
    await tried.started();
    const command = tried.command(new RegExp(`^(?:\\w+=\\S+ )*${name} `));
    await symlink(program, join(directory, name));
    const PATH = `${directory}:${dirname(program)}:${process.env['PATH'] ?? ''}`;
    return String(await runProgram('bash', ['-c', command], { env: { PATH } })).trim();
  } finally {
    await rm(directory, { recursive: true });
  }
}
