/** The pod's config file and its runtime file: the fields of the spec, with references resolved to paths. */
import { MAX_WORKERS } from '#crds/names.ts';
import * as behavior from './behavior.ts';
import { capacityFields, capacityHoldsFourChunks } from './capacity.ts';
import { costs } from './costs.ts';
import * as edgeFields from './edge.ts';
import { choice, text, withDefault, withoutDefault } from './field-builders.ts';
import type { Infer, Schema } from './json-schema.ts';
import { address, directory, path } from './pod-path.ts';
import { peers } from './pod-peers.ts';
import { cacheStore, origin } from './pod-upstream.ts';
import { telemetry } from './telemetry.ts';
import { targetGlobal } from './upstream.ts';

const provenConfigs = {
  type: 'array',
  description:
    'Hashes of configurations that have worked before. A pod with one of them becomes ready without waiting for the ' +
    'origin and the cachestore.',
  // Every configuration that some ReplicaSet may still start pods with: a Deployment keeps three old ones.
  maxItems: 16,
  items: text('Hash of a configuration.', { maxLength: 64, pattern: '^[0-9a-f]*$', message: 'must be hex digits' }),
} as const satisfies Schema;

export const podFile = {
  type: 'object',
  required: ['origin', 'cacheStore'],
  properties: {
    workers: withDefault(
      {
        description:
          'Number of processes that share the edge port; on Linux only. Each is a replica of its own for its peers: its ' +
          'peer port is that of `listen.peer` plus its index, from 0. They divide the memory budget and the connections. ' +
          `From 1 to ${MAX_WORKERS}, or \`auto\`: the CPUs that the process may use, but not more than the memory holds.`,
        maxLength: 4,
        'x-kubernetes-int-or-string': true,
        'x-kubernetes-validations': [
          {
            message: `must be an integer from 1 to ${MAX_WORKERS}, or auto`,
            holds: (value: string | number) =>
              value === 'auto' || (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_WORKERS),
          },
        ],
      } as const,
      1,
      'one process without a supervisor',
    ),
    listen: {
      type: 'object',
      description:
        'Addresses of the three listeners. Port 0 picks a free port. The host `::` accepts IPv6 and IPv4; on a machine ' +
        'without IPv6 it stands for `0.0.0.0`.',
      default: {},
      properties: {
        edge: withDefault(address('Listener for clients.'), '[::]:8443', 'the target port of the Service'),
        peer: withDefault(address('Listener for replicas.'), '[::]:8444', 'the port of the peers’ Service'),
        ops: withDefault(
          address('Listener for probes and metrics.'),
          '[::]:8442',
          'the port that the pod’s probes use',
        ),
      },
    },
    origin,
    cacheStore,
    chunking: behavior.chunking,
    metadata: behavior.metadata,
    catalog: behavior.catalog,
    memory: behavior.memory,
    peers,
    edge: {
      type: 'object',
      description: 'Listener for clients.',
      default: {},
      properties: {
        auth: {
          type: 'object',
          description: 'How clients authenticate.',
          default: {},
          properties: {
            type: edgeFields.authType,
            directory: path('Directory with the file `keys.yaml`; read again when it changes.'),
          },
          'x-kubernetes-validations': [edgeFields.keysUnlessAnonymous('directory')],
        },
        tls: directory(
          'Directory with the files `tls.crt` and `tls.key`; read again when they change. If omitted, HTTP.',
        ),
        region: edgeFields.edgeRegion,
        virtualHostDomains: edgeFields.virtualHostDomains,
        corsOrigins: edgeFields.corsOrigins,
        listTTL: edgeFields.listTTL,
        maxConnections: edgeFields.maxConnections,
        accessLog: edgeFields.accessLog,
        ignoreClientCacheControl: edgeFields.ignoreClientCacheControl,
        explain: edgeFields.explain,
      },
    },
    shutdown: behavior.shutdown,
    prewarms: {
      type: 'object',
      description: 'The OrcaPrewarms whose runs this cache walks. If omitted, none.',
      required: ['namespace', 'cache'],
      properties: {
        namespace: text('Namespace of the resources.', { maxLength: 63, minLength: 1 }),
        cache: text('Name of the cache that they refer to.', { maxLength: 63, minLength: 1 }),
      },
    },
    costs,
    telemetry,
    runtimeFile: path(
      'File whose keys are reloaded while the process runs and override the config file. If omitted, nothing is reloaded.',
    ),
    logLevel: behavior.logLevel,
    logFormat: withDefault(
      choice('Form of the log lines: JSON for machines, or text for people.', 'auto', 'json', 'pretty'),
      'auto',
      'which is pretty on a terminal and json otherwise',
    ),
  },
  'x-kubernetes-validations': [behavior.budgetHoldsFourChunks, capacityHoldsFourChunks],
} as const satisfies Schema;

export type PodFile = Infer<typeof podFile>;

/** No key has a default here: an omitted key keeps the value of the config file. */
export const runtimeFile = {
  type: 'object',
  properties: {
    provenConfigs,
    logLevel: withoutDefault(behavior.logLevel),
    origin: {
      type: 'object',
      description: 'Reloadable keys of `origin`.',
      properties: { targetGlobal: withoutDefault(targetGlobal) },
    },
    chunking: {
      type: 'object',
      description: 'Reloadable keys of `chunking`.',
      properties: { readahead: withoutDefault(behavior.readahead) },
    },
    cacheStore: {
      type: 'object',
      description: 'Reloadable keys of `cacheStore`.',
      properties: {
        capacity: capacityFields.capacity,
        highWatermark: withoutDefault(capacityFields.highWatermark),
        lowWatermark: withoutDefault(capacityFields.lowWatermark),
        maxIdle: capacityFields.maxIdle,
        minAge: withoutDefault(capacityFields.minAge),
        maxPinned: withoutDefault(capacityFields.maxPinned),
        sweepInterval: withoutDefault(capacityFields.sweepInterval),
      },
    },
  },
} as const satisfies Schema;

export type RuntimeFile = Infer<typeof runtimeFile>;
