/**
 * Proven configurations: a pod with any other configuration stays unready until it has reached the store and the
 * origin.
 */
import { parse } from 'yaml';
import { ANNOTATION } from '#crds/names.ts';
import { isReady, type PodTemplate } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childName } from '#operator/resources/labels.ts';
import { RUNTIME_KEY } from '#operator/resources/runtime-config-map.ts';
import type { Observed } from './observe.ts';
import { claimOn } from './ownership.ts';

/**
 * A ready pod proves its configuration for all pods that may still start with it. So old pods that restart during a
 * rollout, and pods after a rollback, become ready even while the origin is unavailable.
 */
export function provenConfigs(cache: OrcaCache, wantedHash: string, observed: Observed): string[] {
  const proven = new Set([...recorded(cache, observed), ...observed.pods.filter(isReady).flatMap(configOf)]);
  const startable = new Set([
    wantedHash,
    ...observed.replicaSets.flatMap(({ spec }) => configOf(spec.template)),
    ...observed.pods.flatMap(configOf),
  ]);
  return [...proven].filter((hash) => startable.has(hash)).toSorted();
}

function configOf({ metadata }: PodTemplate): string[] {
  const hash = metadata?.annotations?.[ANNOTATION.configHash];
  return hash === undefined ? [] : [hash];
}

function recorded(cache: OrcaCache, { children }: Observed): string[] {
  const name = childName.runtimeConfig(cache);
  const found = children.find(
    ({ kind, live }) => kind === 'ConfigMap' && live.metadata.name === name && claimOn(live, cache) === 'ours',
  );
  const { data } = (found?.live ?? {}) as { readonly data?: Readonly<Record<string, string>> };
  const content = readYaml(data?.[RUNTIME_KEY] ?? '');
  const hashes =
    typeof content === 'object' && content !== null && 'provenConfigs' in content ? content.provenConfigs : undefined;
  return Array.isArray(hashes) ? hashes.filter((hash) => typeof hash === 'string') : [];
}

/** A manual edit may have broken the YAML. Then no hash counts as recorded, and the next apply repairs the file. */
function readYaml(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch (error) {
    if (error instanceof Error && error.name === 'YAMLParseError') return undefined;
    throw error;
  }
}
