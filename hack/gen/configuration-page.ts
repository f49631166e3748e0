/** docs/reference/configuration.md: every word of the resource and of the pod's file, with its bounds and its default. */
import { podFile, runtimeFile } from '#crds/schema/pod-file.ts';
import type { Schema } from '#crds/schema/json-schema.ts';
import { spec } from '#crds/schema/spec.ts';

const SKIP_SAME = 'As in the resource.';

export function configurationPage(): string {
  return `<!-- Generated from crds/ by hack/gen.ts: change that, then run npm run gen. -->
# Configuration

One vocabulary: what stands under \`spec\` of an OrcaCache is what a pod reads in its config file, with references to
Secrets and ConfigMaps resolved to paths. A key that is not listed here is an error.

- **Durations**: \`100ms\`, \`5s\`, \`5m\`, \`1h30m\`. **Sizes**: \`8Mi\`, \`1Gi\`, \`5G\`, or plain bytes.
- Keys in **bold** must be given.

## The OrcaCache resource

\`\`\`yaml
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata:
  name: models # at most 50 of a-z, 0-9 and '-'
  namespace: ml
spec:
  origin:
    id: models-eu
    type: S3
    s3:
      endpoint: https://s3.eu-west-1.amazonaws.com
      region: eu-west-1
      credentialsSecretRef: { name: origin-keys }
    buckets:
      - name: models
  cacheStore:
    type: S3
    s3:
      endpoint: http://store.storage.svc:7070
      bucket: orca-chunks
      forcePathStyle: true
      credentialsSecretRef: { name: store-keys }
\`\`\`

${table(spec, 'spec')}

Pods take up \`logLevel\`, \`origin.targetGlobal\` and \`chunking.readahead\` while they run; any other change replaces
them one by one.

## The pod's config file

\`node cache/main.ts --config FILE\`; \`node cache/main.ts check-config FILE\` prints what a file resolves to, or all its
mistakes, one line each. The operator writes this file in a cluster. A process on its own runs from this much:

\`\`\`yaml
origin:
  id: models-eu
  type: S3
  s3: { endpoint: http://127.0.0.1:7070, forcePathStyle: true }
  buckets: [{ name: models }]
cacheStore:
  type: Filesystem
  filesystem: { path: /var/lib/orca }
\`\`\`

Keys that the resource has too are described above.

${table(podFile, '', spec)}

Environment: \`POD_IP\` (this replica's address), \`ORCA_LOG_LEVEL\` (comes before \`logLevel\` of every file),
\`ORCA_ORIGIN_ACCESS_KEY_ID\`, \`ORCA_ORIGIN_SECRET_ACCESS_KEY\`, \`ORCA_CACHESTORE_ACCESS_KEY_ID\`,
\`ORCA_CACHESTORE_SECRET_ACCESS_KEY\`; for Azure \`ORCA_ORIGIN_ACCOUNT_KEY\`, \`ORCA_CACHESTORE_ACCOUNT_KEY\`, and for workload
identity what its webhook sets (\`AZURE_CLIENT_ID\`, \`AZURE_TENANT_ID\`, \`AZURE_FEDERATED_TOKEN_FILE\`,
\`AZURE_AUTHORITY_HOST\`).

### The runtime file

Read again every two seconds; wins over the config file. A key that is invalid stays as it was last good.

${table(runtimeFile, '')}
`;
}

/** One row a key, depth first; keys that `known` describes in the same words are left out. */
function table(root: Schema, prefix: string, known?: Schema): string {
  const rows = [...keys(root, prefix, known)];
  return ['| key | default | what it is |', '|---|---|---|', ...rows].join('\n');
}

function* keys(schema: Schema, prefix: string, known: Schema | undefined): Generator<string> {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const twin = known?.properties?.[name];
    if (twin !== undefined && JSON.stringify(twin) === JSON.stringify(member)) continue;
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isList = member.type === 'array';
    const shown = schema.required?.includes(name) === true ? `**\`${path}\`**` : `\`${path}\``;
    yield `| ${shown} | ${defaultOf(member)} | ${describe(member)} |`;
    yield* isList && member.items !== undefined
      ? keys(member.items, `${path}[]`, twin?.items)
      : keys(member, path, twin);
  }
}

function defaultOf(schema: Schema): string {
  if (schema.default === undefined) return '';
  // The members of a map have defaults of their own.
  if (schema.properties !== undefined && JSON.stringify(schema.default) === '{}') return '';
  if (schema.default === '') return '`""`';
  return `\`${flow(schema.default)}\``;
}

function describe(schema: Schema): string {
  const bounds: string[] = [];
  if (schema.enum !== undefined) bounds.push(`One of ${schema.enum.map((value) => `\`${value}\``).join(', ')}.`);
  if (schema.minimum !== undefined) bounds.push(`From ${schema.minimum} to ${schema.maximum}.`);
  if (schema.maxItems !== undefined) bounds.push(`At most ${schema.maxItems}.`);
  return [schema.description ?? SKIP_SAME, ...bounds].join(' ').replaceAll('|', '\\|');
}

/** YAML's flow style, as people write it. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${key}: ${flow(member)}`)
    .join(', ')}}`;
}
