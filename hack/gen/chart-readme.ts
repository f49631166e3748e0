/** The README of both charts: their values, as values.yaml describes them (`# -- text` above each). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument } from 'yaml';
import type { YAMLMap } from 'yaml';

const CHARTS = join(import.meta.dirname, '../../charts');
export type ChartName = 'orcacache' | 'orcacache-cluster';
const HEADER = '<!-- Generated from values.yaml by hack/gen.ts: change that, then run npm run gen. -->';
const MARK = '-- ';

export interface ChartValue {
  readonly path: string;
  /** As JSON, which is YAML in one line. */
  readonly value: string;
  readonly description: string;
}

/** Every described value, in the file's order. */
export function chartValues(chart: ChartName): readonly ChartValue[] {
  const document = parseDocument(readFileSync(join(CHARTS, chart, 'values.yaml'), 'utf8'));
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

function table(chart: ChartName): string {
  const rows = chartValues(chart).map(
    ({ path, value, description }) => `| \`${path}\` | \`${value}\` | ${description} |`,
  );
  return ['| value | default | what it is |', '|---|---|---|', ...rows].join('\n');
}

export function operatorReadme(): string {
  return `${HEADER}
# The OrcaCache operator

Runs read-only S3 caches in Kubernetes: apply an \`OrcaCache\`, and its pods serve the objects of an origin, each chunk of
which they fetch once.

\`\`\`sh
helm install orcacache charts/orcacache --namespace orca-system --create-namespace --wait
helm test orcacache --namespace orca-system
\`\`\`

- **CRD.** Installed and upgraded with the release (\`crds.install\`), and left in the cluster with all caches when the
  release is uninstalled (\`crds.keep\`). To install it by hand, and with \`crds.install=false\`:
  \`kubectl apply --server-side -f crds/generated/orcacache.dev_orcacaches.yaml\`. What a new version asks of you:
  [upgrading](../../docs/guides/upgrading.md).
- **Caches** are objects of your own, or of the chart [orcacache-cluster](../orcacache-cluster/README.md): a chart can't
  install a CRD and objects of it in one step.
- **Rights.** The operator gets exactly the verbs that it uses; of Secrets it may get one whose name it knows, create, and
  patch, never list. With \`watchNamespaces\` it has them in those namespaces only.
- **Monitoring.** \`metrics.serviceMonitor\`, \`metrics.podMonitor\` and \`prometheusRule\` are rendered where the API of the
  Prometheus operator exists; otherwise the notes of the release name what was left out. What the alerts mean:
  [alerts](../../docs/operations/alerts.md).
- Caches serve without the operator; while it restarts nothing but changes waits.

## Values

${table('orcacache')}
`;
}

export function clusterReadme(): string {
  return `${HEADER}
# Caches

One \`OrcaCache\` for each entry of \`caches\`, run by an operator that [the other chart](../orcacache/README.md) has
installed before.

\`\`\`yaml
# values.yaml
defaults: # what all have in common
  cacheStore:
    type: S3
    s3:
      endpoint: http://store.storage.svc:7070
      bucket: orca-chunks
      forcePathStyle: true
      credentialsSecretRef: { name: store-keys }
caches:
  models:
    spec:
      origin:
        id: models-eu
        type: S3
        s3: { region: eu-west-1, credentialsSecretRef: { name: origin-keys } }
        buckets: [{ name: models }]
\`\`\`

\`\`\`sh
helm install caches charts/orcacache-cluster --namespace ml --values values.yaml --wait --timeout 5m
helm test caches --namespace ml
\`\`\`

- **\`--wait\`** ends when every cache is Ready: each has reached its cachestore and every bucket. With
  \`--rollback-on-failure\` a change that does not get there is taken back; without it the pods of the last good
  configuration go on serving all the same.
- **What stands under \`spec\`**, and under \`defaults\`, is [what an OrcaCache has](../../docs/reference/configuration.md), word for
  word: a misspelt key is refused by helm, with its path.
- **Secrets** are not made here: values are kept in the release, and in Git. \`extraObjects\` has room for
  ExternalSecrets, SealedSecrets and their like.
- **Uninstalling** deletes the caches; what is in the cachestore stays. The annotation \`helm.sh/resource-policy: keep\` of
  a cache keeps that too.

## Values

${table('orcacache-cluster')}
`;
}
