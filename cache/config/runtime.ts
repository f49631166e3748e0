/**
 * The keys that a running process takes up: the runtime file wins over the config file, a key that is invalid stays as
 * it was last good, and what is wrong is said once.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from '#shared/clock.ts';
import { runtimeFile } from '#crds/schema/pod-file.ts';
import type { RuntimeFile } from '#crds/schema/pod-file.ts';
import { formatPath, validator } from '#crds/validate.ts';
import type { Config, LogLevel } from './config.ts';
import { resolveLogLevel } from './log-level.ts';
import { formatMistake } from './mistakes.ts';
import { parseYaml } from './parse.ts';

export interface RuntimeSettings {
  readonly logLevel: LogLevel;
  /** Concurrent origin requests of the whole cluster. */
  readonly targetGlobal: number;
  readonly readahead: number;
  /** The hashes of configurations that have worked, as far as the file names them. */
  readonly provenConfigs: readonly string[];
}

export interface RuntimeReading {
  readonly settings: RuntimeSettings;
  /** One line each. */
  readonly mistakes: readonly string[];
}

/** A rollout waits for `provenConfigs`; the kubelet's own refresh (up to a minute) is the longer wait. */
const POLL_MS = 2000;

const validate = validator(runtimeFile);

/** What holds before the runtime file has been read. */
export function configuredSettings(config: Config): RuntimeSettings {
  return {
    logLevel: config.logLevel,
    targetGlobal: config.origin.targetGlobal,
    readahead: config.chunking.readahead,
    provenConfigs: [],
  };
}

/** The settings after the file has become `text`; `before` is what was last good. */
export function readRuntime(
  text: string,
  config: Config,
  before: RuntimeSettings,
  env: Readonly<Record<string, string | undefined>>,
): RuntimeReading {
  const parsed = parseYaml(text);
  if (!parsed.ok) return { settings: before, mistakes: parsed.mistakes };
  const input: unknown = parsed.value ?? {};
  const verdict = validate(input);
  // A list is as good as all of its items.
  const wrong = new Set(
    verdict.ok ? [] : verdict.problems.map(({ path }) => formatPath(path).replace(/\[[0-9]+\].*$/, '')),
  );
  const words = (verdict.ok ? verdict.value : input) as RuntimeFile;
  const base = configuredSettings(config);
  // A key is as good as its own value, and as the map that it stands in.
  const pick = <K extends keyof RuntimeSettings>(key: K, path: string, value: () => RuntimeSettings[K] | undefined) => {
    const steps = path.split('.');
    const isWrong = wrong.has('') || steps.some((_, index) => wrong.has(steps.slice(0, index + 1).join('.')));
    return isWrong ? before[key] : (value() ?? base[key]);
  };
  const settings: RuntimeSettings = {
    // The environment's level has been checked when the config was loaded.
    logLevel: resolveLogLevel(
      pick('logLevel', 'logLevel', () => words.logLevel),
      env,
      [],
    ),
    targetGlobal: pick('targetGlobal', 'origin.targetGlobal', () => words.origin?.targetGlobal),
    readahead: pick('readahead', 'chunking.readahead', () => words.chunking?.readahead),
    provenConfigs: pick('provenConfigs', 'provenConfigs', () => words.provenConfigs),
  };
  return {
    settings,
    mistakes: verdict.ok ? [] : verdict.problems.map((mistake) => formatMistake(mistake, parsed.source)),
  };
}

export interface RuntimeWatch {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called first with what holds at the start, then with each change. */
  readonly onChange: (settings: RuntimeSettings) => void;
  /** Called when what is wrong with the file changes; empty = it is good again. */
  readonly onMistakes: (mistakes: readonly string[]) => void;
}

/** Follows `config.runtimeFile` until the signal aborts; the first reading is done when this returns its promise. */
export async function watchRuntime({ config, env, clock, signal, onChange, onMistakes }: RuntimeWatch): Promise<void> {
  const path = config.runtimeFile;
  let current: RuntimeReading = { settings: configuredSettings(config), mistakes: [] };
  let isFirst = true;
  while (true) {
    const next = path === undefined ? current : readAt(path, config, current.settings, env);
    if (isFirst || JSON.stringify(next.settings) !== JSON.stringify(current.settings)) onChange(next.settings);
    if (next.mistakes.join('\n') !== current.mistakes.join('\n')) onMistakes(next.mistakes);
    current = next;
    isFirst = false;
    if (path === undefined) return;
    try {
      await clock.sleep(POLL_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }
}

// The file is a few hundred bytes: reading it costs no more than asking whether it changed, and can't miss a change.
function readAt(path: string, config: Config, before: RuntimeSettings, env: RuntimeWatch['env']): RuntimeReading {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return {
      settings: before,
      mistakes: [`${path}: can't be read: ${error instanceof Error ? error.message : String(error)}`],
    };
  }
  return readRuntime(text, config, before, env);
}
