/** charts/orcacache/README.md: the chart's values, as values.yaml describes them (`# -- text` above each). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument } from 'yaml';
import type { YAMLMap } from 'yaml';

const CHART = join(import.meta.dirname, '../../charts/orcacache');
const MARK = '-- ';

export interface ChartValue {
  readonly path: string;
  /** As JSON, which is YAML in one line. */
  readonly value: string;
  readonly description: string;
}

/** Every described value, in the file's order. */
export function chartValues(): readonly ChartValue[] {
  const document = parseDocument(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
  if (!isMap(document.contents)) throw new Error('values.yaml is no map');
  return [...described(document.contents, '', document.commentBefore ?? '')];
}

function* described(map: YAMLMap, prefix: string, outside: string): Generator<ChartValue> {
  for (const [index, { key, value }] of map.items.entries()) {
    if (!isScalar(key)) continue;
    // The comment above the first key counts as one of what holds the map.
    const comment = key.commentBefore ?? (index === 0 ? (map.commentBefore ?? outside) : '');
    const path = `${prefix}${String(key.value)}`;
    const start = comment.indexOf(MARK);
    if (start >= 0) {
      const description = comment.slice(start + MARK.length).replaceAll(/\s*\n\s*/g, ' ');
      yield {
        path,
        value: JSON.stringify(isMap(value) || !isScalar(value) ? toJson(value) : value.value),
        description,
      };
    } else if (isMap(value)) {
      yield* described(value, `${path}.`, '');
    }
  }
}

function toJson(node: unknown): unknown {
  return (node as { toJSON(): unknown }).toJSON();
}

export function chartReadme(): string {
  const rows = chartValues().map(({ path, value, description }) => `| \`${path}\` | \`${value}\` | ${description} |`);
  return `<!-- Generated from values.yaml by hack/gen.ts: change that, then run npm run gen. -->
# The OrcaCache operator

Runs read-only S3 caches in Kubernetes: apply an \`OrcaCache\`, and its pods serve the objects of an origin, each chunk of
which they fetch once.

\`\`\`sh
helm install orcacache charts/orcacache --namespace orca-system --create-namespace --wait
\`\`\`

- **CRD.** Installed and upgraded with the release (\`crds.install\`), and left in the cluster with all caches when the
  release is uninstalled (\`crds.keep\`). To install it by hand:
  \`kubectl apply --server-side -f crds/generated/orcacache.dev_orcacaches.yaml\`.
- **Rights.** The operator gets exactly the verbs that it uses; of Secrets it may get one whose name it knows, create, and
  patch, never list. With \`watchNamespaces\` it has them in those namespaces only.
- **One pod.** Caches serve without the operator; while it restarts nothing but changes waits.

## Values

| value | default | what it is |
|---|---|---|
${rows.join('\n')}
`;
}
