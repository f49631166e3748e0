/** `--help`, as kubectl writes it. */
import type { Command, Flag } from './command.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';
import { usageOf } from './parse.ts';

const OPTIONS_HINT = 'Use "kubectl orca options" for a list of global command-line options (applies to all commands).';

export function programHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return `Look into OrcaCache caches, find out what is wrong with them, and prewarm what is needed next.

Available Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`).join('\n')}

Usage:
  kubectl orca COMMAND [options]

Use "kubectl orca COMMAND --help" for more information about a command.
${OPTIONS_HINT}
`;
}

export function commandHelp(command: Command): string {
  const examples = command.examples.map(({ title, command: line }) => `  # ${title}\n  ${line}`).join('\n\n');
  const sections = [
    command.description,
    ...(examples === '' ? [] : [`Examples:\n${examples}`]),
    ...(command.flags.length === 0 ? [] : [`Options:\n${command.flags.map(flagHelp).join('\n\n')}`]),
    `Usage:\n  ${usageOf(command)}`,
    OPTIONS_HINT,
  ];
  return `${sections.join('\n\n')}\n`;
}

export function optionsHelp(): string {
  return `The following options can be passed to any command:\n\n${GLOBAL_FLAGS.map(flagHelp).join('\n\n')}\n`;
}

function flagHelp({ name, short, isSwitch, isRepeated, default: initial = '', description }: Flag): string {
  const value = isSwitch === true ? 'false' : isRepeated === true ? '[]' : `'${initial}'`;
  return `    ${short === undefined ? '' : `-${short}, `}--${name}=${value}:\n\t${description}`;
}
