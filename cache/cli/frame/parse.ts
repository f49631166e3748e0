/** Arguments of one command, by `parseArgs` of Node.js, with kubectl's messages. */
import { parseArgs } from 'node:util';
import { Flags, type Command, type Flag, type FlagValue } from './command.ts';
import { UsageError } from './errors.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';

export interface Parsed {
  readonly args: readonly string[];
  readonly flags: Flags;
}

export function parseCommand(command: Command, argv: readonly string[]): Parsed {
  const specs = [...command.flags, ...GLOBAL_FLAGS];
  const byName = new Map(specs.map((flag) => [flag.name, flag]));
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(specs.map((flag) => [flag.name, optionOf(flag)])),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const args: string[] = [];
  const values = new Map<string, FlagValue>();
  const repeated = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = byName.get(token.name);
    if (flag === undefined) throw new UsageError(`unknown flag: ${token.rawName}`);
    const value = valueOf(flag, token.value, token.rawName);
    if (flag.isRepeated === true && value !== true) {
      const texts = repeated.get(flag.name) ?? [];
      texts.push(value);
      repeated.set(flag.name, texts);
      values.set(flag.name, texts);
    } else values.set(flag.name, value);
  }
  for (const { name, default: initial } of specs)
    if (initial !== undefined && !values.has(name)) values.set(name, initial);
  const flags = new Flags(values);
  if (args.length > command.maxArgs && !flags.has('help'))
    throw new UsageError(`unexpected argument '${args[command.maxArgs]}': ${usageOf(command)}`);
  return { args, flags };
}

export function usageOf({ name, args }: Pick<Command, 'name' | 'args'>): string {
  return ['kubectl orca', name, args, '[options]'].filter((part) => part !== '').join(' ');
}

function optionOf({ short, isSwitch }: Flag) {
  return {
    type: isSwitch === true ? ('boolean' as const) : ('string' as const),
    ...(short !== undefined && { short }),
  };
}

function valueOf(flag: Flag, value: string | undefined, rawName: string): string | true {
  if (flag.isSwitch === true) {
    if (value === undefined || value === 'true') return true;
    throw new UsageError(`${rawName} takes no value`);
  }
  // `-o=json`: kubectl accepts it.
  const text = rawName.startsWith('--') ? value : value?.replace(/^=/, '');
  if (text === undefined || text === '') throw new UsageError(`flag needs an argument: ${rawName}`);
  if (flag.values !== undefined && !flag.values.includes(text))
    throw new UsageError(`invalid value '${text}' for ${rawName}: one of ${flag.values.join(', ')}`);
  return text;
}
