/** The result of a command: the same data as JSON or YAML, which scripts may rely on, or as text. */
import { stringify } from 'yaml';
import type { CommandContext } from '#cache/cli/frame/command.ts';

/** Changes only with a field that is removed or means something else. */
const API_VERSION = 'cli.orcacache.dev/v1';

export interface Result {
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** `isWide`: `-o wide`. */
  readonly text: (isWide: boolean) => string;
}

export function printResult({ io, flags }: Pick<CommandContext, 'io' | 'flags'>, { kind, data, text }: Result): void {
  const format = flags.text('output');
  const document = { apiVersion: API_VERSION, kind, ...data };
  if (format === 'json') io.out(`${JSON.stringify(document, undefined, 2)}\n`);
  else if (format === 'yaml') io.out(stringify(document, { aliasDuplicateObjects: false }));
  else io.out(text(format === 'wide'));
}
