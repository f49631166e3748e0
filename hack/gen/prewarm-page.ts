/** Generates docs/reference/prewarm.md: every field of an OrcaPrewarm, its rules, and its names in Kubernetes. */
import { ANNOTATION, PREWARM, PREWARM_GATE } from '#crds/names.ts';
import { ORCA_PREWARM } from '#crds/orca-prewarm.ts';
import { prewarmSpec } from '#crds/schema/prewarm-spec.ts';
import { prewarmStatus } from '#crds/schema/prewarm-status.ts';
import { keyTable } from './key-table.ts';

export function prewarmPage(): string {
  return [introduction(), specSection(), statusSection(), columnSection(), gateSection()].join('\n');
}

function introduction(): string {
  return `<!-- Generated from crds/ by hack/gen.ts. Do not edit: change crds/ or hack/gen/ and run npm run gen. -->
# OrcaPrewarm

Fetches objects into a cache before clients read them. [Warm a model before the job](../guides/warm-a-model.md) shows how to
use it; this page lists its fields. Durations and sizes are written as on the page
[Configuration](configuration.md). Keys that are not listed here are errors.

\`\`\`yaml
apiVersion: orcacache.dev/v1alpha1
kind: OrcaPrewarm
metadata:
  name: llama-3-70b # at most 63 characters
  namespace: ml # the namespace of the cache
spec:
  cacheRef: { name: models }
  targets:
    - bucket: models
      prefix: llama-3-70b/
      include: ["**/*.safetensors", "*.json"]
    - bucket: datasets
      manifest: { bucket: datasets, key: lists/epoch-1.txt }
    - bucket: datasets
      keysFrom: { configMapRef: { name: keys, key: list } }
  maxBytesPerSecond: 500Mi
  pin: { ttl: 168h }
\`\`\`

In kubectl it is \`${PREWARM.singular}\`, \`${PREWARM.plural}\` or \`${PREWARM.shortName}\`. \`kubectl get orca-all\` lists caches and
prewarms.
`;
}

function specSection(): string {
  return `## spec

Keys in **bold** are required.

${keyTable(prewarmSpec, 'spec')}

**Changes.** \`suspend\`, \`maxBytesPerSecond\`, \`parallelism\`, \`activeDeadlineSeconds\` and \`ttlSecondsAfterFinished\` can
change at any time, and a run in progress follows within seconds. All other fields are immutable from the start, so that
the status always describes what the spec says. Create a new OrcaPrewarm instead: what is stored already is skipped.

**Globs** are matched against the part of the key after the prefix. \`*\` and \`?\` match within a path segment, \`**\` any
number of segments, \`[a-z]\` one character, and \`{a,b}\` one of the alternatives, of which a glob may have 64. As in shells,
wildcards do not match a dot at the beginning of a segment.

**Lists of keys** (\`manifest\`, \`keysFrom\`) have one key per line: the key itself, or a JSON object with the member \`key\`.

**Deletion.** With \`ttlSecondsAfterFinished\`, a prewarm is deleted when that time has passed after its run, and its pin has
expired. A prewarm with a \`schedule\`, or with a pin without \`ttl\`, is never deleted by the operator. When a prewarm is
deleted, its run stops within 2 s and its pin ends; chunks stay until they are evicted.
`;
}

function statusSection(): string {
  return `## status

Figures describe the newest run. They are written every 5 s while it runs. [Conditions](../operations/conditions.md#prewarms)
have their own page.

${keyTable(prewarmStatus, 'status')}
`;
}

function columnSection(): string {
  const rows = ORCA_PREWARM.columns.map(
    ({ name, description, priority }) =>
      `| ${name.toUpperCase()} | ${description}${priority === 1 ? ' Only with `-o wide`.' : ''} |`,
  );
  return `## Columns of kubectl get

${['| column | meaning |', '|---|---|', ...rows].join('\n')}
`;
}

function gateSection(): string {
  return `## Gated pods

With \`schedulingGates.enabled\` in the chart, the operator acts on pods with this scheduling gate and annotations:

| name | where | meaning |
|---|---|---|
| \`${PREWARM_GATE}\` | \`spec.schedulingGates[].name\` | The pod waits, without a node, until its prewarms are Complete. |
| \`${ANNOTATION.prewarm}\` | annotation | Comma-separated names of the prewarms, in the namespace of the pod. |
| \`${ANNOTATION.prewarmOnFailure}\` | annotation | \`Release\`: the pod also starts if a prewarm fails. |
`;
}
