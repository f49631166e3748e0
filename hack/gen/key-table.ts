/** A Markdown table of the keys of a schema, with bounds and defaults. */
import type { Schema } from '#crds/schema/json-schema.ts';

/** One row per key, depth first. Keys that `known` describes identically are omitted. */
export function keyTable(root: Schema, prefix: string, known?: Schema): string {
  const rows = [...keys(root, prefix, known)];
  return ['| key | default | description |', '|---|---|---|', ...rows].join('\n');
}

function* keys(schema: Schema, prefix: string, known: Schema | undefined): Generator<string> {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const twin = known?.properties?.[name];
    if (twin !== undefined && withoutRules(twin) === withoutRules(member)) continue;
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isList = member.type === 'array';
    const shown = schema.required?.includes(name) === true ? `**\`${path}\`**` : `\`${path}\``;
    yield `| ${shown} | ${defaultOf(member)} | ${describe(member)} |`;
    yield* isList && member.items !== undefined
      ? keys(member.items, `${path}[]`, twin?.items)
      : keys(member, path, twin);
  }
}

/** For comparison: the resource has rules that the pod's file does not need, such as immutability. */
function withoutRules(schema: Schema): string {
  return JSON.stringify(schema, (key, value: unknown) => (key === 'x-kubernetes-validations' ? undefined : value));
}

function defaultOf(schema: Schema): string {
  if (schema.default === undefined) return '';
  // The members of a map have their own defaults and rows.
  if (schema.properties !== undefined && JSON.stringify(schema.default) === '{}') return '';
  if (schema.default === '') return '`""`';
  return `\`${flow(schema.default)}\``;
}

function describe(schema: Schema): string {
  const bounds: string[] = [];
  if (schema.enum !== undefined) bounds.push(`One of ${schema.enum.map((value) => `\`${value}\``).join(', ')}.`);
  if (schema.minimum !== undefined) bounds.push(`From ${schema.minimum} to ${schema.maximum}.`);
  if (schema.maxItems !== undefined) bounds.push(`At most ${schema.maxItems} items.`);
  const [meaning = '', ...defaults] = (schema.description ?? '').split(/ (?=Default: )/);
  return [meaning, ...bounds, ...defaults].join(' ').replaceAll('|', String.raw`\|`);
}

/** YAML flow style. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${key}: ${flow(member)}`)
    .join(', ')}}`;
}
