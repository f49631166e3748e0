import { expect, test } from 'vitest';
import { withRemedy } from '#operator/status/creation-failure.ts';

test.each([
  [
    'pods "models-5d4f" is forbidden: exceeded quota: team, requested: limits.memory=2Gi, used: limits.memory=3Gi, limited: limits.memory=4Gi',
    'lower spec.replicas or spec.pod.resources, or raise the ResourceQuota',
  ],
  [
    'pods "models-5d4f" is forbidden: failed quota: team: must specify limits.cpu for: cache; limits.memory for: cache',
    'set them in spec.pod.resources, because the ResourceQuota counts them',
  ],
  [
    'pods "models-5d4f" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
    'set spec.pod.resources to what the LimitRange permits',
  ],
  [
    'pods "models-5d4f" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000',
    'set spec.pod.resources to what the LimitRange permits',
  ],
  [
    'pods "models-5d4f" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
    "set spec.pod.securityContext and containerSecurityContext, or spec.pod.template, to what the namespace's level permits",
  ],
  [
    'pods "models-5d4f-" is forbidden: unable to validate against any security context constraint: [provider "anyuid": Forbidden]',
    'leave user and group to the platform: set spec.pod.securityContext without runAsUser, runAsGroup and fsGroup',
  ],
])('%s: the remedy follows', (message, remedy) => {
  expect(withRemedy(message)).toBe(`${message}; ${remedy}`);
});

test('a message without a known remedy stays as it is', () => {
  expect(withRemedy('admission webhook "x" denied the request')).toBe('admission webhook "x" denied the request');
});
