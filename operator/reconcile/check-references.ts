/**
 * Whether the Secrets and ConfigMaps that a cache names exist and hold the keys that pods need. Only names and keys are
 * looked at; no value leaves this file.
 */
import { collectionPath } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { references, type Reference } from '#operator/resources/reference.ts';
import type { Api } from './api.ts';

export interface ReferenceProblem {
  readonly kind: 'missing' | 'malformed';
  /** Names the objects and fields, never a value. */
  readonly message: string;
}

interface Holder {
  readonly data?: Readonly<Record<string, string>>;
}

const PLURAL = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;

/** What to emitEvents the user, if anything: what is malformed comes before what may still appear. */
export async function checkReferences(api: Api, cache: OrcaCache): Promise<ReferenceProblem | undefined> {
  const problems = await Promise.all(
    references(cache).map(async (reference) => problemOf(reference, await find(api, cache, reference))),
  );
  for (const kind of ['malformed', 'missing'] as const) {
    const messages = problems.flatMap((problem) => (problem?.kind === kind ? [problem.message] : []));
    if (messages.length > 0) return { kind, message: [...new Set(messages)].join('; ') };
  }
  return undefined;
}

function find(api: Api, cache: OrcaCache, { kind, name }: Reference): Promise<Holder | undefined> {
  return api.find(`${collectionPath('v1', PLURAL[kind], cache.metadata.namespace)}/${name}`);
}

function problemOf(
  { kind, name, field, keys, oneOf }: Reference,
  holder: Holder | undefined,
): ReferenceProblem | undefined {
  if (holder === undefined) return { kind: 'missing', message: `${kind} ${name} (${field}) does not exist` };
  const holds = (key: string): boolean => (holder.data?.[key] ?? '') !== '';
  const malformed = (what: string): ReferenceProblem => ({
    kind: 'malformed',
    message: `${kind} ${name} (${field}) ${what}`,
  });
  const absent = keys.filter((key) => !holds(key));
  if (absent.length > 0) return malformed(`lacks the ${absent.length === 1 ? 'key' : 'keys'} ${absent.join(', ')}`);
  const present = oneOf?.filter(holds) ?? [];
  if (oneOf === undefined || present.length === 1) return undefined;
  return malformed(
    present.length === 0
      ? `lacks one of the keys ${oneOf.join(', ')}`
      : `must hold only one of the keys ${oneOf.join(', ')}`,
  );
}
