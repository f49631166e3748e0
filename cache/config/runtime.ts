/**
 * Settings that change without a restart. The runtime file overrides the config file; an invalid key keeps its last
 * valid value, and each problem is reported once.
 */
import { readFileSync } from 'node:fs';
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import { runtimeFile } from '#crds/schema/pod-file.ts';
import type { RuntimeFile } from '#crds/schema/pod-file.ts';
import { formatPath, validator, type Problem } from '#crds/validate.ts';
import type { Clock } from '#shared/clock.ts';
import { reloadCapacity, type Picker } from './capacity.ts';
import type { Config, LogLevel } from './config.ts';
import { resolveLogLevel } from './log-level.ts';
import { parseYaml } from './parse.ts';
import { formatProblem } from './problems.ts';

export interface RuntimeSettings {
  readonly logLevel: LogLevel;
  /** Maximum number of concurrent origin requests of the whole cluster. */
  readonly targetGlobal: number;
  readonly readahead: number;
  /** Limits of the cachestore. */
  readonly capacity: CapacitySettings;
  /** The hashes of configurations that have worked, as listed in the file. */
  readonly provenConfigs: readonly string[];
}

export interface RuntimeReading {
  readonly settings: RuntimeSettings;
  /** One line each. */
  readonly problems: readonly string[];
}

/** A rollout waits for `provenConfigs`; the kubelet's refresh of the mounted file (up to a minute) takes longer than this. */
const POLL_MS = 2000;

const validate = validator(runtimeFile);

/** The settings before the runtime file is read. */
export function configuredSettings(config: Config): RuntimeSettings {
  return {
    logLevel: config.logLevel,
    targetGlobal: config.origin.targetGlobal,
    readahead: config.chunking.readahead,
    capacity: config.cacheStore.limits,
    provenConfigs: [],
  };
}

/** The settings after the file's content became `text`; `before` are the last valid ones. */
export function readRuntime(
  text: string,
  config: Config,
  before: RuntimeSettings,
  env: Readonly<Record<string, string | undefined>>,
): RuntimeReading {
  const parsed = parseYaml(text);
  if (!parsed.ok) return { settings: before, problems: parsed.problems };
  const input: unknown = parsed.value ?? {};
  const validation = validate(input);
  const problems: Problem[] = validation.ok ? [] : [...validation.problems];
  const file = (validation.ok ? validation.value : input) as RuntimeFile;
  const base = configuredSettings(config);
  const pick = pickerOf(problems);
  const setting = pick(before, base);
  const settings: RuntimeSettings = {
    // The environment variable was validated when the config was loaded.
    logLevel: resolveLogLevel(
      setting('logLevel', 'logLevel', () => file.logLevel),
      env,
      [],
    ),
    targetGlobal: setting('targetGlobal', 'origin.targetGlobal', () => file.origin?.targetGlobal),
    readahead: setting('readahead', 'chunking.readahead', () => file.chunking?.readahead),
    capacity: reloadCapacity(file.cacheStore, pick, before.capacity, config, problems),
    provenConfigs: setting('provenConfigs', 'provenConfigs', () => file.provenConfigs),
  };
  return { settings, problems: problems.map((problem) => formatProblem(problem, parsed.source)) };
}

function pickerOf(problems: readonly Problem[]): Picker {
  // One invalid item invalidates its whole list.
  const invalid = new Set(problems.map(({ path }) => formatPath(path).replace(/\[[0-9]+\].*$/, '')));
  return (last, configured) => (key, path, read) => {
    // A key is invalid if its value is, or the map that contains it.
    const steps = path.split('.');
    const isInvalid = invalid.has('') || steps.some((_, index) => invalid.has(steps.slice(0, index + 1).join('.')));
    return isInvalid ? last[key] : (read() ?? configured[key]);
  };
}

export interface RuntimeWatch {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called with the initial settings, then after each change. */
  readonly onChange: (settings: RuntimeSettings) => void;
  /** Called when the file's problems change; empty = the file is valid again. */
  readonly onProblems: (problems: readonly string[]) => void;
}

/** Polls `config.runtimeFile` until the signal aborts. The first reading is synchronous, before the promise is returned. */
export async function watchRuntime({ config, env, clock, signal, onChange, onProblems }: RuntimeWatch): Promise<void> {
  const path = config.runtimeFile;
  let current: RuntimeReading = { settings: configuredSettings(config), problems: [] };
  let isFirst = true;
  while (true) {
    const next = path === undefined ? current : readAt(path, config, current.settings, env);
    if (isFirst || JSON.stringify(next.settings) !== JSON.stringify(current.settings)) onChange(next.settings);
    if (next.problems.join('\n') !== current.problems.join('\n')) onProblems(next.problems);
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

// The file is a few hundred bytes: reading it is as cheap as a `stat`, and cannot miss a change.
function readAt(path: string, config: Config, before: RuntimeSettings, env: RuntimeWatch['env']): RuntimeReading {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return {
      settings: before,
      problems: [`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`],
    };
  }
  return readRuntime(text, config, before, env);
}
