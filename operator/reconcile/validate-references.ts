/**
 * Validates that the Secrets and ConfigMaps that a spec references exist and have the keys that pods need. Only names
 * and keys are inspected; no value leaves this file.
 */
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { references, type Reference } from '#operator/resources/reference.ts';
import type { Api } from './api.ts';

export interface ReferenceProblem {
  readonly kind: 'missing' | 'malformed';
  /** Names fields, objects and keys, never a value. */
  readonly message: string;
}

interface Holder {
  readonly data?: Readonly<Record<string, string>>;
}

const PLURAL = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;

/** Undefined if all references are valid. Malformed objects are reported first: missing ones may still be created. */
export async function validateReferences(api: Api, cache: OrcaCache): Promise<ReferenceProblem | undefined> {
  const { namespace } = cache.metadata;
  const problems = await Promise.all(
    references(cache).map(async (reference) =>
      problemOf(reference, namespace, await findHolder(api, reference, namespace)),
    ),
  );
  for (const kind of ['malformed', 'missing'] as const) {
    const messages = problems.flatMap((problem) => (problem?.kind === kind ? [problem.message] : []));
    if (messages.length > 0) return { kind, message: [...new Set(messages)].join('; ') };
  }
  return undefined;
}

function findHolder(api: Api, { kind, name }: Reference, namespace: string): Promise<Holder | undefined> {
  return api.find(`${collectionPath('v1', PLURAL[kind], namespace)}/${name}`);
}

function problemOf(
  { kind, name, field, keys, oneOf }: Reference,
  namespace: string,
  holder: Holder | undefined,
): ReferenceProblem | undefined {
  const subject = `${field}: ${kind} ${namespace}/${name}`;
  if (holder === undefined)
    return { kind: 'missing', message: `${subject} not found; create it or change the reference` };
  const data = holder.data ?? {};
  const hasKey = (key: string): boolean => Object.hasOwn(data, key) && data[key] !== '';
  const malformed = (problem: string): ReferenceProblem => ({ kind: 'malformed', message: `${subject} ${problem}` });
  const absent = keys.filter((key) => !hasKey(key));
  if (absent.length > 0)
    return malformed(
      absent.length === 1 ? `has no key ${absent[0]}; add it` : `lacks the keys ${absent.join(', ')}; add them`,
    );
  const present = oneOf?.filter(hasKey) ?? [];
  if (oneOf === undefined || present.length === 1) return undefined;
  return malformed(
    present.length === 0
      ? `has none of the keys ${oneOf.join(', ')}; add one of them`
      : `has more than one of the keys ${oneOf.join(', ')}; keep one of them`,
  );
}
