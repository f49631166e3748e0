/**
 * The children of a cache in the order of creation: accounts and roles before the pods that use them, mounted objects
 * before the pods, and Services before the pods, so that pods are discoverable as soon as they start. To add a child,
 * add a line.
 */
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { configMap } from './config-map.ts';
import type { BuildContext } from './context.ts';
import { deployment } from './deployment.ts';
import { edgeService } from './edge-service.ts';
import { networkPolicy, wantsNetworkPolicy } from './network-policy.ts';
import { peerAuthSecret } from './peer-auth-secret.ts';
import { peersService } from './peers-service.ts';
import { podDisruptionBudget, wantsPodDisruptionBudget } from './pod-disruption-budget.ts';
import { roleBinding } from './role-binding.ts';
import { role } from './role.ts';
import { runtimeConfigMap } from './runtime-config-map.ts';
import { serviceAccount } from './service-account.ts';

export interface Child {
  readonly manifest: Manifest;
  /** `once`: created if absent, and never updated. */
  readonly write: 'apply' | 'once';
}

interface Builder {
  readonly build: (cache: OrcaCache, context: BuildContext) => Manifest;
  readonly write?: Child['write'];
  readonly when?: (cache: OrcaCache) => boolean;
}

const BUILDERS: readonly Builder[] = [
  { build: serviceAccount },
  { build: role },
  { build: roleBinding },
  { build: peerAuthSecret, write: 'once' },
  { build: configMap },
  { build: runtimeConfigMap },
  { build: peersService },
  { build: edgeService },
  { build: networkPolicy, when: wantsNetworkPolicy },
  // Before the pods, so that no node drain can evict pods that it does not protect yet.
  { build: podDisruptionBudget, when: wantsPodDisruptionBudget },
  { build: deployment },
];

export function desiredChildren(cache: OrcaCache, context: BuildContext): Child[] {
  return BUILDERS.filter(({ when }) => when === undefined || when(cache)).map(({ build, write = 'apply' }) => ({
    manifest: build(cache, context),
    write,
  }));
}
