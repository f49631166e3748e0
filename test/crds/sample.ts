/** A minimal cache as a user writes it, and copies of it with changes. */
import type { OrcaCache } from '#crds/types.ts';
import { parseOrcaCache } from '#crds/validate.ts';

export type Tree = { [key: string]: unknown };

export function sample(): Tree {
  return {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaCache',
    metadata: { name: 'models', namespace: 'ml' },
    spec: {
      origin: {
        id: 'models-eu',
        type: 'S3',
        s3: { endpoint: 'https://s3.example.org', credentialsSecretRef: { name: 'origin-keys' } },
        buckets: [{ name: 'models', originBucket: 'acme-models-eu' }],
      },
      cacheStore: {
        type: 'S3',
        s3: { endpoint: 'http://store.storage.svc:7070', bucket: 'orca-chunks', forcePathStyle: true },
      },
    },
  };
}

export function sampleWith(changes: Readonly<Record<string, unknown>>): Tree {
  return changed(sample(), changes);
}

/** `changes` maps dotted paths to new values; undefined removes the member. */
export function changed(tree: Tree, changes: Readonly<Record<string, unknown>>): Tree {
  for (const [path, value] of Object.entries(changes)) {
    const steps = path.split('.');
    const last = steps.pop() ?? '';
    let at = tree;
    for (const step of steps) at = (at[step] ??= {}) as Tree;
    if (value === undefined) delete at[last];
    else at[last] = value;
  }
  return tree;
}

export function accepted(input: unknown): OrcaCache {
  const result = parseOrcaCache(input);
  if (!result.ok) throw new Error(`rejected: ${JSON.stringify(result.problems)}`);
  return result.value;
}
