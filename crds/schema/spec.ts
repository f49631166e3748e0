/** The spec of an OrcaCache. It contains only what is implemented, so that setting anything else is an error. */
import * as behavior from './behavior.ts';
import { capacityHoldsFourChunks } from './capacity.ts';
import { costs } from './costs.ts';
import { choice, flag, integer, text, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';
import { podOptions } from './pod-options.ts';
import { edge } from './spec-edge.ts';
import { cacheStore, origin } from './spec-upstream.ts';
import { telemetry } from './telemetry.ts';
import { memoryRules } from './workers.ts';

const proxy = {
  type: 'object',
  description:
    'HTTP proxy for requests to the origin and the cachestore. For a URL with a password, set HTTPS_PROXY from a Secret ' +
    'in `pod.env` instead.',
  required: ['httpsProxy'],
  properties: {
    httpsProxy: text('URL of the proxy for both HTTP and HTTPS requests: `http://host[:port]`.', {
      maxLength: 253,
      pattern: '^http://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$',
      message: 'must be http://host[:port], without user, path or query',
    }),
    noProxy: withDefault(
      text(
        'Comma-separated list of destinations that bypass the proxy: host names (including their subdomains), addresses ' +
          'and networks.',
        { maxLength: 4096 },
      ),
      'svc,cluster.local,localhost,127.0.0.0/8,::1',
      'which are the names inside the cluster and the pod itself',
      '`svc,cluster.local,localhost,127.0.0.0/8,::1`',
    ),
  },
} as const satisfies Schema;

const availability = {
  type: 'object',
  description: 'How the cache survives the loss and the upgrade of nodes.',
  default: {},
  properties: {
    antiAffinity: withDefault(
      choice('Whether replicas must, should or need not run on different nodes.', 'Required', 'Preferred', 'None'),
      'Preferred',
      'which spreads replicas where possible and never leaves one unschedulable',
    ),
    podDisruptionBudget: withDefault(
      flag(
        'Creates a PodDisruptionBudget that lets node drains evict one replica at a time. A cache with one replica gets ' +
          'none.',
      ),
      true,
      'because losing several replicas at once leaves the cache cold',
    ),
  },
} as const satisfies Schema;

const networkPolicy = {
  type: 'object',
  description: 'NetworkPolicy for the pods; effective only if the cluster’s network plugin enforces it.',
  default: {},
  properties: {
    enabled: withDefault(
      flag(
        'Creates a NetworkPolicy: the edge port stays open to every client, the peer port is limited to replicas, and the ' +
          'ops port to the operator and to pods with the label `app.kubernetes.io/name: prometheus`.',
      ),
      false,
      'because a policy may block traffic you did not anticipate',
    ),
  },
} as const satisfies Schema;

export const spec = {
  type: 'object',
  description: 'Desired state of the cache.',
  required: ['origin', 'cacheStore'],
  properties: {
    replicas: withDefault(
      integer('Number of pods. An autoscaler may set it through the scale subresource.', 0, 1000),
      3,
      'so that losing one replica costs a third of the capacity',
    ),
    origin,
    cacheStore,
    chunking: behavior.chunking,
    metadata: behavior.metadata,
    catalog: behavior.catalog,
    memory: behavior.memory,
    edge,
    availability,
    shutdown: behavior.shutdown,
    proxy,
    networkPolicy,
    costs,
    telemetry,
    pod: podOptions,
    logLevel: behavior.logLevel,
  },
  'x-kubernetes-validations': [...memoryRules, capacityHoldsFourChunks],
} as const satisfies Schema;
