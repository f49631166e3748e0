/** Sample caches as the API server would return them: a user's manifest with the schema's defaults. */
import { parse } from 'yaml';
import { podConfigFile } from '#crds/pod-config.ts';
import { parseOrcaCache } from '#crds/validate.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { BuildContext } from '#operator/resources/context.ts';

export const CACHE_UID = '6f0a3f7e-0000-4000-8000-000000000001';

export function cacheFrom(yaml: string): OrcaCache {
  const parsed = parseOrcaCache(parse(yaml));
  if (!parsed.ok) throw new Error(`invalid sample: ${JSON.stringify(parsed.problems)}`);
  const { metadata, ...rest } = parsed.value;
  return { ...rest, metadata: { ...metadata, uid: CACHE_UID, generation: 1, resourceVersion: '7' } };
}

export function contextOf(cache: OrcaCache, overrides: Partial<BuildContext> = {}): BuildContext {
  return {
    image: 'orcacache/cache:0.1.0',
    imagePullPolicy: 'IfNotPresent',
    config: podConfigFile(cache),
    provenConfigs: [],
    newPeerKeyBase64: Buffer.alloc(32, 'k').toString('base64'),
    ...overrides,
  };
}

export const MINIMAL = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  origin: {id: models-eu, type: S3, s3: {}, buckets: [{name: models}]}
  cacheStore: {type: S3, s3: {bucket: orca-chunks}}
`;

export const FULL = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  replicas: 5
  origin:
    id: models-eu
    type: S3
    s3:
      endpoint: https://s3.example.com
      region: eu-west-1
      credentialsSecretRef: {name: origin-keys}
      caBundleRef: {name: origin-ca}
    buckets: [{name: models, originBucket: acme-models-eu, prefix: v1/, metadataTTL: 10m, immutable: true}]
    targetGlobal: 64
  cacheStore:
    type: S3
    s3:
      endpoint: https://store.storage.svc:7070
      forcePathStyle: true
      bucket: orca-chunks
      credentialsSecretRef: {name: store-keys}
      caBundleRef: {name: store-ca}
    verifyRanges: true
  edge:
    service:
      type: LoadBalancer
      port: 9000
      annotations: {example.com/balancer: internal}
      trafficDistribution: PreferSameZone
      ipFamilyPolicy: PreferDualStack
      ipFamilies: [IPv4]
    auth: {type: SigV4, secretRef: {name: models-keys}}
    tls: {secretName: models-tls}
    virtualHostDomains: [s3.models.example]
    corsOrigins: [https://app.example]
    listTTL: 10s
    accessLog: {format: s3}
  networkPolicy: {enabled: true}
  proxy: {httpsProxy: "http://proxy.example:3128"}
  availability: {antiAffinity: Required, podDisruptionBudget: true}
  shutdown: {propagationDelay: 1500ms, drainTimeout: 2m}
  pod:
    image: registry.example.com/orcacache/cache:1.2.3
    imagePullPolicy: Always
    imagePullSecrets: [{name: registry}]
    resources: {requests: {cpu: 2, memory: 3Gi}, limits: {memory: 4Gi}}
    workers: auto
    nodeSelector: {disk: ssd}
    tolerations: [{key: cache, operator: Exists, effect: NoSchedule}]
    priorityClassName: high
    topologySpreadConstraints: [{maxSkew: 1, topologyKey: example.com/rack, whenUnsatisfiable: DoNotSchedule}]
    serviceAccountAnnotations: {example.com/role: cache-reader}
    labels: {team: ml, app.kubernetes.io/name: another-app}
    annotations: {example.com/scrape: 'true'}
    env:
      - {name: HTTPS_PROXY, value: 'http://proxy:3128'}
      - {name: AWS_PROFILE, valueFrom: {configMapKeyRef: {name: aws, key: profile}}}
  logLevel: debug
`;

export const AZURE = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  replicas: 1
  origin:
    id: models-eu
    type: AzureBlob
    azureBlob: {account: acmemodels, credentialsSecretRef: {name: origin-key}, caBundleRef: {name: origin-ca}}
    buckets: [{name: models}]
  cacheStore: {type: AzureBlob, azureBlob: {account: acmechunks, container: chunks}}
  pod:
    labels: {azure.workload.identity/use: 'true'}
    serviceAccountAnnotations: {azure.workload.identity/client-id: 00000000-0000-4000-8000-000000000000}
`;

export const FILESYSTEM = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  replicas: 1
  origin: {id: models-eu, type: S3, s3: {}, buckets: [{name: models}]}
  cacheStore: {type: Filesystem, filesystem: {persistentVolumeClaim: {claimName: chunks}}}
  availability: {antiAffinity: None}
`;

export const HTTP = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  replicas: 1
  origin:
    id: models-eu
    type: HTTP
    http:
      urls: [{bucket: models, baseUrl: https://files.example.org/models}]
      redirectHosts: ['*.cdn.example.org']
      credentialsSecretRef: {name: origin-token}
      caBundleRef: {name: origin-ca}
    buckets: [{name: models}]
  cacheStore: {type: Filesystem, filesystem: {persistentVolumeClaim: {claimName: chunks}}}
`;
