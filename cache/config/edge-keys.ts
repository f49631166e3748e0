/** `keys.yaml` to a ring of keys. Mistakes name the place and the rule, never a value: the file is all secrets. */
import { edgeKeys as schema } from '#crds/schema/edge-keys.ts';
import { validator, type Problem } from '#crds/validate.ts';
import type { EdgeKey } from '#cache/core/s3/key-ring.ts';
import { formatMistake } from './mistakes.ts';
import { parseYaml } from './parse.ts';

const validate = validator(schema);

export type AuthType = 'Bearer' | 'SigV4';

export type EdgeKeysReading =
  | { readonly ok: true; readonly keys: readonly EdgeKey[] }
  | { readonly ok: false; readonly mistakes: readonly string[] };

export function parseEdgeKeys(text: string, type: AuthType): EdgeKeysReading {
  const parsed = parseYaml(text);
  // The parser quotes what it stumbles over.
  if (!parsed.ok)
    return wrong(parsed.mistakes.map((mistake) => `${/^line \d+/.exec(mistake)?.[0] ?? 'it'}: is no YAML`));
  const verdict = validate(parsed.value);
  if (!verdict.ok) return wrong(verdict.problems.map((mistake) => formatMistake(withoutNames(mistake), parsed.source)));
  const mistakes: string[] = [];
  const seen = new Set<string>();
  const keys = verdict.value.map((words, index): EdgeKey => {
    const needed = type === 'Bearer' ? (['token'] as const) : (['accessKeyId', 'secretAccessKey'] as const);
    for (const name of needed)
      if (words[name] === undefined) mistakes.push(`[${index}].${name}: is required with type ${type}`);
    const name = type === 'Bearer' ? words.token : words.accessKeyId;
    if (name !== undefined && seen.has(name)) mistakes.push(`[${index}]: the same key stands there twice`);
    if (name !== undefined) seen.add(name);
    const { buckets: grants, ...rest } = words;
    return { ...rest, label: words.accessKeyId ?? `token ${index}`, grants };
  });
  return mistakes.length === 0 ? { ok: true, keys } : wrong(mistakes);
}

/** Behind a forgotten colon the name of a key is its value: only names that are known are said. */
const NAMES: ReadonlySet<string | number> = new Set([
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
  'token',
  'buckets',
  'name',
  'prefix',
]);

function withoutNames({ path, message }: Problem): Problem {
  return { path: path.map((step) => (typeof step === 'number' || NAMES.has(step) ? step : '…')), message };
}

function wrong(mistakes: readonly string[]): EdgeKeysReading {
  return { ok: false, mistakes };
}
