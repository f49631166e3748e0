/**
 * Loads the config file into a frozen Config, or reports all its problems at once. This is the only module of
 * `cache/config` that reads the system: the file, the memory limit, and facts about the machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { KIND } from '#crds/names.ts';
import { configHash } from '#crds/pod-config.ts';
import { podFile } from '#crds/schema/pod-file.ts';
import { formatPath, validator } from '#crds/validate.ts';
import type { Problem } from '#crds/validate.ts';
import type { Config } from './config.ts';
import { parseYaml } from './parse.ts';
import { ConfigError, formatProblem } from './problems.ts';
import { resolve } from './resolve.ts';
import type { Facts } from './resolve.ts';

export { ConfigError } from './problems.ts';

const validate = validator(podFile);

/** Throws ConfigError. */
export function loadConfig(path: string, env: Readonly<Record<string, string | undefined>>): Config {
  return parseConfig(read(path), {
    env,
    memory: { constrainedBytes: constrainedMemory(), totalBytes: totalmem() },
    host: { cores: availableParallelism(), platform: process.platform, hasIpv6: hasIpv6() },
  });
}

/** A Linux kernel that was started with `ipv6.disable=1`, or that has no IPv6 at all, lacks the file. */
function hasIpv6(): boolean {
  return process.platform !== 'linux' || existsSync('/proc/net/if_inet6');
}

/** Parses the content of a config file. Throws ConfigError. */
export function parseConfig(file: string | Uint8Array, facts: Facts): Config {
  const parsed = parseYaml(typeof file === 'string' ? file : new TextDecoder().decode(file));
  if (!parsed.ok) throw new ConfigError(parsed.problems);
  const kind = kindOf(parsed.value);
  if (kind !== undefined) throw new ConfigError([wholeResource(kind)]);
  const validation = validate(parsed.value);
  const problems: Problem[] = validation.ok ? [] : [...validation.problems];
  if (validation.value !== undefined) {
    const config = resolve(validation.value, configHash(file), facts, problems);
    if (problems.length === 0) return freeze(config);
  }
  throw new ConfigError(firstOfEachPath(problems).map((problem) => formatProblem(problem, parsed.source)));
}

/** The kind, if the value is a resource of Kubernetes. */
function kindOf(value: unknown): string | undefined {
  const { apiVersion, kind } = (value ?? {}) as { readonly apiVersion?: unknown; readonly kind?: unknown };
  return typeof apiVersion === 'string' && typeof kind === 'string' ? kind : undefined;
}

function wholeResource(kind: string): string {
  if (kind !== KIND) return `this is a resource of the kind ${kind}, not the config file of a cache pod`;
  return (
    `this is an ${kind} resource: apply it to a cluster with kubectl. A pod reads the fields of its spec, as the ` +
    'operator writes them: without replicas, pod and service, and with directories in place of references to Secrets'
  );
}

/** Keeps the first problem of each path: a later rule may only repeat it, such as the port of a malformed address. */
function firstOfEachPath(problems: readonly Problem[]): readonly Problem[] {
  const byPath = new Map<string, Problem>();
  for (const problem of problems) {
    const path = formatPath(problem.path);
    if (!byPath.has(path)) byPath.set(path, problem);
  }
  return [...byPath.values()];
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError([`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`], {
      cause: error,
    });
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}
