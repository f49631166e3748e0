/** A command of `kubectl orca`, described as data: parsing, `--help`, completion and the reference page come from it. */
import type { Cluster } from '#cache/cli/cluster/cluster.ts';
import type { Clock } from '#shared/clock.ts';
import type { Io } from './io.ts';

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** `true` = on or off. */
  readonly isSwitch?: boolean;
  readonly default?: string;
  readonly values?: readonly string[];
  /** May be given several times. */
  readonly isRepeated?: boolean;
  readonly description: string;
}

export interface Example {
  readonly title: string;
  readonly command: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly description: string;
  /** `[CACHE]`, `s3://BUCKET/KEY`; empty = none. */
  readonly args: string;
  readonly maxArgs: number;
  readonly examples: readonly Example[];
  readonly flags: readonly Flag[];
  /** What the first argument is, for completion. */
  readonly completes?: 'cache' | 'prewarm' | 'shell';
  /** Resolves with the exit code. */
  run(context: CommandContext): Promise<number>;
}

export interface CommandContext {
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly io: Io;
  readonly clock: Clock;
  /** Aborts with Ctrl-C. */
  readonly signal: AbortSignal;
  /** Reads the kubeconfig at the first call. */
  connect(): Promise<Cluster>;
}

/** A repeated flag has several texts. */
export type FlagValue = string | true | readonly string[];

export class Flags {
  readonly #values: ReadonlyMap<string, FlagValue>;

  constructor(values: ReadonlyMap<string, FlagValue>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Undefined = not given, and without a default. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  /** The texts of a repeated flag, in order. */
  texts(name: string): readonly string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }
}
