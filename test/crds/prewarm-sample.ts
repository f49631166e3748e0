/** A minimal prewarm as a user writes it, and copies of it with changes. */
import type { OrcaPrewarm } from '#crds/types.ts';
import { parseOrcaPrewarm } from '#crds/validate.ts';
import { changed, type Tree } from './sample.ts';

/** `changes` maps dotted paths to new values; undefined removes the member. */
export function prewarmWith(changes: Readonly<Record<string, unknown>>): Tree {
  const prewarm: Tree = {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaPrewarm',
    metadata: { name: 'llama-3-70b', namespace: 'ml' },
    spec: { cacheRef: { name: 'models' }, targets: [{ bucket: 'models', prefix: 'llama-3-70b/' }] },
  };
  return changed(prewarm, changes);
}

export function acceptedPrewarm(input: unknown): OrcaPrewarm {
  const result = parseOrcaPrewarm(input);
  if (!result.ok) throw new Error(`rejected: ${JSON.stringify(result.problems)}`);
  return result.value;
}
