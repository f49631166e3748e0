/** The config file to a frozen Config, or all that is wrong with it at once. The only effects are here: file, memory. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { configHash } from '#crds/pod-config.ts';
import { podFile } from '#crds/schema/pod-file.ts';
import { formatPath, validator } from '#crds/validate.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config } from './config.ts';
import { ConfigError, formatMistake } from './mistakes.ts';
import { parseYaml } from './parse.ts';
import { resolve } from './resolve.ts';
import type { Facts } from './resolve.ts';

export { ConfigError } from './mistakes.ts';

const validate = validator(podFile);

/** Throws ConfigError. */
export function loadConfig(path: string, env: Readonly<Record<string, string | undefined>>): Config {
  return parseConfig(read(path), {
    env,
    memory: { constrainedBytes: constrainedMemory(), totalBytes: totalmem() },
  });
}

/** The same of a text that is already here. */
export function parseConfig(file: string | Uint8Array, facts: Facts): Config {
  const parsed = parseYaml(typeof file === 'string' ? file : new TextDecoder().decode(file));
  if (!parsed.ok) throw new ConfigError(parsed.mistakes);
  const verdict = validate(parsed.value);
  const mistakes: Problem[] = verdict.ok ? [] : [...verdict.problems];
  if (verdict.value !== undefined) {
    const config = resolve(verdict.value, configHash(file), facts, mistakes);
    if (mistakes.length === 0) return freeze(config);
  }
  throw new ConfigError(firstOfEachPath(mistakes).map((mistake) => formatMistake(mistake, parsed.source)));
}

/** What is no address at all has no wrong port either. */
function firstOfEachPath(mistakes: readonly Problem[]): readonly Problem[] {
  const byPath = new Map<string, Problem>();
  for (const mistake of mistakes) {
    const path = formatPath(mistake.path);
    if (!byPath.has(path)) byPath.set(path, mistake);
  }
  return [...byPath.values()];
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError([`${path}: can't be read: ${error instanceof Error ? error.message : String(error)}`], {
      cause: error,
    });
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}
