/** What to do about pods that the API server refuses to create: its message names the rule, and this the field to change. */

/** The messages of Kubernetes 1.36 and OpenShift 4: only words that older ones have too. */
const REMEDIES: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [/exceeded quota: /, 'lower spec.replicas or spec.pod.resources, or raise the ResourceQuota'],
  [/failed quota: .*must specify /, 'set them in spec.pod.resources, because the ResourceQuota counts them'],
  [
    /usage per (?:Container|Pod) is |limit to request ratio per /,
    'set spec.pod.resources to what the LimitRange permits',
  ],
  [
    /violates PodSecurity /,
    "set spec.pod.securityContext and containerSecurityContext, or spec.pod.template, to what the namespace's level permits",
  ],
  [
    /security context constraint/,
    'leave user and group to the platform: set spec.pod.securityContext without runAsUser, runAsGroup and fsGroup',
  ],
];

/** The message with its remedy, if one is known. */
export function withRemedy(message: string): string {
  const remedy = REMEDIES.find(([pattern]) => pattern.test(message))?.[1];
  return remedy === undefined ? message : `${message}; ${remedy}`;
}
