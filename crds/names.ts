/** The Kubernetes identifiers of the project: group and kinds, labels, annotations, conditions, reasons, ports, mounts. */

export const GROUP = 'orcacache.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'OrcaCache';
export const LIST_KIND = 'OrcaCacheList';
export const PLURAL = 'orcacaches';
export const SINGULAR = 'orcacache';
export const SHORT_NAME = 'orca';
/** `kubectl get orca-all` lists all kinds. Not the singular of one of them: kubectl would take that for all kinds. */
export const CATEGORY = 'orca-all';
export const CRD_NAME = `${PLURAL}.${GROUP}`;

export const PREWARM = {
  kind: 'OrcaPrewarm',
  listKind: 'OrcaPrewarmList',
  plural: 'orcaprewarms',
  singular: 'orcaprewarm',
  shortName: 'orcawarm',
  crdName: `orcaprewarms.${GROUP}`,
} as const;

/** A prewarm's name is the value of labels. */
export const MAX_PREWARM_NAME_LENGTH = 63;

/** A cache's name plus the longest suffix of a child's name must fit into the 63 characters of a label. */
export const MAX_NAME_LENGTH = 50;

export const LABEL = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  version: 'app.kubernetes.io/version',
  partOf: 'app.kubernetes.io/part-of',
  managedBy: 'app.kubernetes.io/managed-by',
} as const;

/** The value of `app.kubernetes.io/managed-by` on every child, and the field manager of every apply. */
export const MANAGED_BY = 'orca-operator';
export const FIELD_MANAGER = 'orca-operator';
/** The value of `app.kubernetes.io/part-of` on every child and on the operator's own pods. */
export const PART_OF = 'orcacache';

export const ANNOTATION = {
  /** Any value but "false" stops the reconciliation of that cache. */
  paused: `${GROUP}/paused`,
  /** On the pod template: the hash of the config file for which the pods were created. */
  configHash: `${GROUP}/config-hash`,
  /** On a cache: a new value rotates the replicas' shared key; the old key is accepted for 10 more minutes. */
  rotatePeerAuth: `${GROUP}/rotate-peer-auth`,
  /** On the Secret of that key: when it was rotated. */
  peerAuthRotatedAt: `${GROUP}/peer-auth-rotated-at`,
  /** On a pod with the scheduling gate: the comma-separated names of the prewarms that it waits for. */
  prewarm: `${GROUP}/prewarm`,
  /** On such a pod: `Release` lets it start although one of these prewarms failed. */
  prewarmOnFailure: `${GROUP}/prewarm-on-failure`,
} as const;

/** The scheduling gate that the operator removes from a pod when its prewarms are complete. */
export const PREWARM_GATE = `${GROUP}/prewarm`;

export const CONDITION = {
  ready: 'Ready',
  reconciling: 'Reconciling',
  stalled: 'Stalled',
  originReachable: 'OriginReachable',
  cacheStoreReady: 'CacheStoreReady',
  runtimeApplied: 'RuntimeApplied',
  complete: 'Complete',
  failed: 'Failed',
  suspended: 'Suspended',
} as const;
export type ConditionType = (typeof CONDITION)[keyof typeof CONDITION];

/** The closed list of condition reasons. */
export const REASON = {
  replicasReady: 'ReplicasReady',
  progressing: 'Progressing',
  insufficientReplicas: 'InsufficientReplicas',
  paused: 'Paused',
  nameConflict: 'NameConflict',
  invalidSpec: 'InvalidSpec',
  waitingForSecret: 'WaitingForSecret',
  secretNotFound: 'SecretNotFound',
  secretMalformed: 'SecretMalformed',
  rolloutFailed: 'RolloutFailed',
  noReport: 'NoReport',
  notProbed: 'NotProbed',
  reachable: 'Reachable',
  unreachable: 'Unreachable',
  listDenied: 'ListDenied',
  identityConflict: 'IdentityConflict',
  incompatible: 'Incompatible',
  full: 'Full',
  overCapacity: 'OverCapacity',
  evictionDenied: 'EvictionDenied',
  mountHung: 'MountHung',
  versioned: 'Versioned',
  atomic: 'Atomic',
  racy: 'Racy',
  ignored: 'Ignored',
  unsupported: 'Unsupported',
  conflicting: 'Conflicting',
  applied: 'Applied',
  invalidValue: 'InvalidValue',
  running: 'Running',
  scheduled: 'Scheduled',
  suspended: 'Suspended',
  completed: 'Completed',
  objectsFailed: 'ObjectsFailed',
  deadlineExceeded: 'DeadlineExceeded',
  waitingForReference: 'WaitingForReference',
  cacheNotFound: 'CacheNotFound',
  bucketNotServed: 'BucketNotServed',
  keysNotFound: 'KeysNotFound',
  invalidSchedule: 'InvalidSchedule',
} as const;
export type Reason = (typeof REASON)[keyof typeof REASON];

/** Ports of a cache pod, by listener. The keys are the names of the container ports. */
export const POD_PORT = { ops: 8442, edge: 8443, peer: 8444 } as const;

/** Each worker has a peer port of its own, from `POD_PORT.peer` upward. More cores are better used by more pods. */
export const MAX_WORKERS = 16;

/** The name of worker `index`'s peer port, in the pods and in the headless Service: `peer`, `peer-1`, `peer-2`. */
/** The peer port of the last worker that a pod may have. */
export const LAST_PEER_PORT = POD_PORT.peer + MAX_WORKERS - 1;

export function peerPortName(index: number): string {
  return index === 0 ? 'peer' : `peer-${index}`;
}

/** Mount paths of the files that the pod's config file refers to. */
export const MOUNT = {
  config: '/etc/orca/config.yaml',
  runtime: '/etc/orca/runtime/runtime.yaml',
  credentials: '/etc/orca/credentials',
  ca: '/etc/orca/ca',
  edgeTls: '/etc/orca/tls/edge',
  filesystemStore: '/var/lib/orca',
} as const;
