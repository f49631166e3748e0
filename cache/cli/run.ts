/** One run of the program, with everything from outside as a value. */
import packageJson from '#package' with { type: 'json' };
import { KubeError } from '#shared/kube/error.ts';
import type { Clock } from '#shared/clock.ts';
import type { Cluster } from './cluster/cluster.ts';
import { COMPLETE } from './commands/completion.ts';
import { COMMANDS } from './commands/list.ts';
import { Flags } from './frame/command.ts';
import { complete } from './frame/complete.ts';
import { CliError, UsageError } from './frame/errors.ts';
import { commandHelp, optionsHelp, programHelp } from './frame/help.ts';
import type { Io } from './frame/io.ts';
import { parseCommand } from './frame/parse.ts';
import { printable } from './output/table.ts';

export interface RunOptions {
  readonly argv: readonly string[];
  readonly io: Io;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly connect: (flags: Flags, env: Io['env']) => Promise<Cluster>;
}

/** A failure; kubectl's code too. */
const FAILED = 1;
/** As a shell reports a program that Ctrl-C ended. */
const INTERRUPTED = 130;
/** A pause in typing. */
const COMPLETE_TIMEOUT = new Map([['request-timeout', '2s']]);
/** cobra's directive: do not complete file names. */
const NO_FILES = ':4';

/** Resolves with the exit code. */
export async function run(options: RunOptions): Promise<number> {
  const { argv, io, signal } = options;
  const [name = ''] = argv;
  try {
    if (name === COMPLETE) return await printCandidates(options);
    if (['', 'help', '--help', '-h'].includes(name)) return help(argv.slice(1), io);
    if (name === 'options') return print(io, optionsHelp());
    if (name === 'version' || name === '--version') return print(io, `${packageJson.version}\n`);
    return await runCommand(options);
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    io.err(messageOf(error, name));
    return FAILED;
  }
}

async function runCommand({ argv, io, clock, signal, connect }: RunOptions): Promise<number> {
  const [name = '', ...others] = argv;
  const command = commandOf(name);
  const { args, flags } = parseCommand(command, others);
  if (flags.has('help')) return print(io, commandHelp(command));
  let cluster: Promise<Cluster> | undefined;
  const once = (): Promise<Cluster> => (cluster ??= connect(flags, io.env));
  return command.run({ args, flags, io, clock, signal, connect: once });
}

function commandOf(name: string) {
  const command = COMMANDS.find((each) => each.name === name);
  if (command !== undefined) return command;
  throw new UsageError(
    name.startsWith('-')
      ? `the command comes first: kubectl orca COMMAND ${name}`
      : `unknown command "${name}" for "kubectl orca"`,
  );
}

function help([name]: readonly string[], io: Io): number {
  return print(io, name === undefined ? programHelp(COMMANDS) : commandHelp(commandOf(name)));
}

async function printCandidates({ argv, io, signal, connect }: RunOptions): Promise<number> {
  const candidates = await complete(argv.slice(1), {
    commands: COMMANDS,
    connect: () => connect(new Flags(COMPLETE_TIMEOUT), io.env),
    signal,
  });
  return print(io, [...candidates, NO_FILES].map((line) => `${line}\n`).join(''));
}

function print(io: Io, text: string): number {
  io.out(text);
  return 0;
}

/** One line, and where to find help; a stack only for what should not happen. */
function messageOf(error: unknown, command: string): string {
  if (error instanceof UsageError) {
    const about = COMMANDS.some(({ name }) => name === command) ? ` ${command}` : '';
    return `error: ${printable(error.message)}\nSee 'kubectl orca${about} --help' for usage.\n`;
  }
  if (error instanceof CliError) return `error: ${printable(error.message)}\n`;
  if (error instanceof KubeError) return `error: ${printable(error.message)}${remedyOf(error)}\n`;
  return `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`;
}

function remedyOf({ status, reason, cause }: KubeError): string {
  // The failure of a credential plugin, for example.
  if (reason === 'Credentials' && cause instanceof Error) return `: ${printable(cause.message)}`;
  if (status === 401) return '\nThe API server does not accept the credentials of the kubeconfig: log in again.';
  if (status === 403) return "\nSee 'kubectl orca COMMAND --help' for the rights that the command needs.";
  if (reason === 'Unreachable') return '\nIs the right context selected? --context selects another one.';
  return '';
}
