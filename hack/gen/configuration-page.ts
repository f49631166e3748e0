/** Generates docs/reference/configuration.md: every key of the resource and of the pod's files, with bounds and default. */
import { podFile, runtimeFile } from '#crds/schema/pod-file.ts';
import { spec } from '#crds/schema/spec.ts';
import { keyTable } from './key-table.ts';

export function configurationPage(): string {
  return [introduction(), resourceSection(), podFileSection(), environmentSection(), runtimeFileSection()].join('\n');
}

function introduction(): string {
  return `<!-- Generated from crds/ by hack/gen.ts. Do not edit: change crds/ and run npm run gen. -->
# Configuration

The \`spec\` of an OrcaCache and the config file of its pods use the same keys. In the config file, paths replace the
references to Secrets and ConfigMaps. Keys that are not listed on this page are errors.

- **Durations** are written as \`100ms\`, \`5s\`, \`5m\` or \`1h30m\`.
- **Sizes** are written as \`8Mi\`, \`1Gi\`, \`5G\` or a plain number of bytes.
- Keys in **bold** are required.
`;
}

function resourceSection(): string {
  return `## The OrcaCache resource

\`\`\`yaml
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata:
  name: models # at most 50 characters of a-z, 0-9 and '-'
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

${keyTable(spec, 'spec')}

Running pods reload \`logLevel\`, \`origin.targetGlobal\`, \`chunking.readahead\` and the limits of \`cacheStore\`:
\`capacity\`, \`highWatermark\`, \`lowWatermark\`, \`maxIdle\`, \`minAge\`, \`maxPinned\` and \`sweepInterval\`. Scaling, and
changes to \`edge.service\`, \`availability.podDisruptionBudget\` and \`networkPolicy\`, do not replace pods. Any other
change replaces them one by one. \`origin.id\` is immutable.
`;
}

function podFileSection(): string {
  return `## The pod's config file

In a cluster, the operator writes this file. To run a replica without Kubernetes:

\`\`\`sh
node cache/main.ts check-config FILE # prints the resolved configuration, or every problem on a line of its own
node cache/main.ts --config FILE
\`\`\`

A minimal file:

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

Keys that are the same in the resource are described above and not repeated here.

${keyTable(podFile, '', spec)}
`;
}

function environmentSection(): string {
  return `### Environment variables

| variable | description |
|---|---|
| \`POD_IP\` | Address of this replica. |
| \`ORCA_LOG_LEVEL\` | Overrides \`logLevel\` of both files. |
| \`ORCA_ORIGIN_ACCESS_KEY_ID\`, \`ORCA_ORIGIN_SECRET_ACCESS_KEY\` | Credentials of an S3 origin without \`credentials\`. |
| \`ORCA_CACHESTORE_ACCESS_KEY_ID\`, \`ORCA_CACHESTORE_SECRET_ACCESS_KEY\` | Credentials of an S3 cachestore without \`credentials\`. |
| \`ORCA_ORIGIN_ACCOUNT_KEY\`, \`ORCA_CACHESTORE_ACCOUNT_KEY\` | Account keys of an Azure origin or cachestore without \`credentials\`. |
| \`AZURE_CLIENT_ID\`, \`AZURE_TENANT_ID\`, \`AZURE_FEDERATED_TOKEN_FILE\`, \`AZURE_AUTHORITY_HOST\` | Azure workload identity; its webhook sets them. \`AZURE_CLIENT_ID\` alone selects a user-assigned managed identity, and \`AZURE_TOKEN_CREDENTIALS\` one credential of the chain. |
`;
}

function runtimeFileSection(): string {
  return `### The runtime file

This file is read every two seconds, and its keys override the config file. A key with an invalid value keeps its last
valid value.

${keyTable(runtimeFile, '')}
`;
}
