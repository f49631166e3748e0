/** Other people's programs, run with nothing of this machine's own configuration. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTool } from '#test/support/tools.ts';

const run = promisify(execFile);
/** Python libraries take seconds to load on a busy machine. */
const TIMEOUT_MS = 120_000;
/** Objects of the tree come this way too. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** What is shown of what a program said before it failed. */
const SHOWN_CHARACTERS = 3_000;

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** For its stdin. */
  readonly input?: string;
}

/** Resolves with what it wrote to stdout; rejects with what it said where it fails. */
export async function runProgram(
  program: string,
  parameters: readonly string[],
  options: ProgramOptions = {},
): Promise<Buffer> {
  const plain = Object.entries(process.env).filter(([name]) => !/^(?:AWS|RCLONE|MC)_|_PROXY$/i.test(name));
  const env = {
    ...Object.fromEntries(plain),
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...options.env,
  };
  const running = run(program, parameters, {
    env,
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
    encoding: 'buffer',
  });
  const { stdin } = running.child;
  // One that ends before it has read its input says why on stderr.
  stdin?.on('error', () => stdin.destroy());
  stdin?.end(options.input);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    const said = `${String(stdout ?? '').slice(-SHOWN_CHARACTERS)}\n${String(stderr ?? '').slice(-SHOWN_CHARACTERS)}`;
    throw new Error(`${program} ${parameters.slice(0, 6).join(' ')}: ${said.trim()}`, { cause: error });
  }
}

/** The program's path; skips the test, and says what to do, where it is not installed. */
export function programOr(skip: (note: string) => never, name: string, group: 'clients' | 'readers'): string {
  return (
    findTool(name, `ORCA_${name.toUpperCase().replaceAll('-', '_')}`) ?? skip(`no ${name}: run hack/tools ${group}`)
  );
}
