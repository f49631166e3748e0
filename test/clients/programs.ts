/** Other people's programs, run with nothing of this machine's own configuration. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Python libraries take seconds to load on a busy machine. */
const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface Ran {
  readonly stdout: Buffer;
}

/** Rejects with what it said where it fails. */
export async function runProgram(
  program: string,
  parameters: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<Ran> {
  const plain = Object.entries(process.env).filter(([name]) => !/^(?:AWS|RCLONE|MC)_|_PROXY$/i.test(name));
  const env = {
    ...Object.fromEntries(plain),
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...options.env,
  };
  try {
    const { stdout } = await run(program, parameters, {
      env,
      cwd: options.cwd,
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
      encoding: 'buffer',
    });
    return { stdout };
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    throw new Error(`${program} ${parameters.slice(0, 4).join(' ')}: ${String(stderr ?? '').slice(-2_000)}`, {
      cause: error,
    });
  }
}

/** undefined where it is not on PATH. */
export function findProgram(name: string): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch (error) {
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  });
}
