/**
 * Parses `keys.yaml` into the keys of clients. Problems name the path and the rule, never a value, because every value
 * of the file may be a secret.
 */
import type { EdgeKey } from '#cache/core/s3/key-ring.ts';
import { edgeKeys as schema } from '#crds/schema/edge-keys.ts';
import { validator, type Problem } from '#crds/validate.ts';
import { parseYaml } from './parse.ts';
import { formatProblem } from './problems.ts';

const validate = validator(schema);

export type AuthType = 'Bearer' | 'SigV4';

export type EdgeKeysReading =
  | { readonly ok: true; readonly keys: readonly EdgeKey[] }
  | { readonly ok: false; readonly problems: readonly string[] };

export function parseEdgeKeys(text: string, type: AuthType): EdgeKeysReading {
  const parsed = parseYaml(text);
  // Keep only the line number: the parser's messages quote the text.
  if (!parsed.ok)
    return invalid(
      parsed.problems.map((problem) => `${/^line \d+/.exec(problem)?.[0] ?? 'the file'}: is not valid YAML`),
    );
  const validation = validate(parsed.value);
  if (!validation.ok)
    return invalid(validation.problems.map((problem) => formatProblem(withoutUnknownNames(problem), parsed.source)));
  const problems: string[] = [];
  const seen = new Set<string>();
  const keys = validation.value.map((entry, index): EdgeKey => {
    const required = type === 'Bearer' ? (['token'] as const) : (['accessKeyId', 'secretAccessKey'] as const);
    for (const field of required)
      if (entry[field] === undefined) problems.push(`[${index}].${field}: is required with type ${type}`);
    const [idField, id] = type === 'Bearer' ? ['token', entry.token] : ['accessKeyId', entry.accessKeyId];
    if (id !== undefined && seen.has(id)) problems.push(`[${index}].${idField}: is a duplicate of an earlier key`);
    if (id !== undefined) seen.add(id);
    const { buckets: grants, ...fields } = entry;
    return { ...fields, label: entry.accessKeyId ?? `token ${index}`, grants };
  });
  return problems.length === 0 ? { ok: true, keys } : invalid(problems);
}

const KNOWN_NAMES: ReadonlySet<string | number> = new Set([
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
  'token',
  'buckets',
  'name',
  'prefix',
]);

/** Masks unknown field names: if a colon is missing, a secret may be parsed as part of a name. */
function withoutUnknownNames({ path, message }: Problem): Problem {
  return { path: path.map((step) => (typeof step === 'number' || KNOWN_NAMES.has(step) ? step : '…')), message };
}

function invalid(problems: readonly string[]): EdgeKeysReading {
  return { ok: false, problems };
}
