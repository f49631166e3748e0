/** Runs third-party programs without this machine's configuration. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { sendInput } from '#test/support/program-input.ts';
import { findTool } from '#test/support/tools.ts';

const run = promisify(execFile);
/** Python libraries take seconds to load on a busy machine. */
const TIMEOUT_MS = 120_000;
/** Some programs write objects of the tree to stdout. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** The end of each output stream that an error contains. */
const SHOWN_CHARACTERS = 3_000;

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the program's stdin. */
  readonly input?: string;
}

/** Resolves with the program's stdout; rejects with the end of stdout and stderr if the program fails. */
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
  sendInput(running.child, options.input);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    const output = `${String(stdout ?? '').slice(-SHOWN_CHARACTERS)}\n${String(stderr ?? '').slice(-SHOWN_CHARACTERS)}`;
    throw new Error(`${program} ${parameters.slice(0, 6).join(' ')}: ${output.trim()}`, { cause: error });
  }
}

/** The program's path. Skips the test with installation instructions if the program is not installed. */
export function programOr(skip: (note: string) => never, name: string, group: 'clients' | 'readers'): string {
  return (
    findTool(name, `ORCA_${name.toUpperCase().replaceAll('-', '_')}`) ?? skip(`no ${name}: run hack/tools ${group}`)
  );
}
