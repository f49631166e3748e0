/** Which configuration is known to work: pods with another one stay unready until they have reached store and origin. */
import { parse } from 'yaml';
import { ANNOTATION } from '#crds/names.ts';
import { isReady } from '#operator/api/observed.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childName } from '#operator/resources/labels.ts';
import { RUNTIME_KEY } from '#operator/resources/runtime-config-map.ts';
import type { Observed } from './observe.ts';
import { claimOn } from './ownership.ts';

/**
 * A ready pod proves its configuration. Until one is ready with the wanted configuration the last proven one stays, so
 * that pods of the old one that restart in the meantime need no proof again.
 */
export function provenConfig(cache: OrcaCache, wantedHash: string, observed: Observed): string | undefined {
  const ready = observed.pods
    .filter(isReady)
    .flatMap(({ metadata }) => metadata.annotations?.[ANNOTATION.configHash] ?? []);
  if (ready.includes(wantedHash)) return wantedHash;
  return recorded(cache, observed) ?? ready[0];
}

function recorded(cache: OrcaCache, { children }: Observed): string | undefined {
  const name = childName.runtimeConfig(cache);
  const found = children.find(
    ({ kind, live }) => kind === 'ConfigMap' && live.metadata.name === name && claimOn(live, cache) === 'ours',
  );
  const { data } = (found?.live ?? {}) as { readonly data?: Readonly<Record<string, string>> };
  const content = readYaml(data?.[RUNTIME_KEY] ?? '');
  const hash =
    typeof content === 'object' && content !== null && 'provenConfig' in content ? content.provenConfig : undefined;
  return typeof hash === 'string' ? hash : undefined;
}

/** Somebody may have written nonsense into it: then nothing is recorded, and the apply that follows repairs it. */
function readYaml(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch (error) {
    if (error instanceof Error && error.name === 'YAMLParseError') return undefined;
    throw error;
  }
}
