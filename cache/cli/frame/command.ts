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
  readonly completes?: 'cache' | 'shell';
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

export class Flags {
  readonly #values: ReadonlyMap<string, string | true>;

  constructor(values: ReadonlyMap<string, string | true>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Undefined = not given, and without a default. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === true ? undefined : value;
  }
}
