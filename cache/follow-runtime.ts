/** The settings of a running cache, from its runtime file. */
import type { Config } from '#cache/config/config.ts';
import { configuredSettings, watchRuntime } from '#cache/config/runtime.ts';
import type { Clock } from '#shared/clock.ts';
import type { RootLog } from '#shared/log.ts';

export interface RuntimeOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: RootLog;
}

/** The settings that can change while the process runs. */
export function followRuntime({ config, env, clock, log }: RuntimeOptions, signal: AbortSignal) {
  let settings = configuredSettings(config);
  let problems: readonly string[] = [];
  const done = watchRuntime({
    config,
    env,
    clock,
    signal,
    onChange: (next) => {
      settings = next;
      log.setLevel(next.logLevel);
    },
    onProblems: (next) => {
      problems = next;
      if (next.length === 0) log.info('runtime file: valid again');
      else log.warn('runtime file: invalid; the affected keys keep their last valid value', { problems });
    },
  });
  return { settings: () => settings, problems: () => problems, done };
}
