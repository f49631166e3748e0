/** The parts of a pod for which the resource has no field of its own. */
import { stringMap } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

/** Not described here: the API server checks it when it becomes part of a Deployment. */
function partOfAPod(description: string) {
  return { type: 'object', description, 'x-kubernetes-preserve-unknown-fields': true } as const satisfies Schema;
}

export const securityContext = partOfAPod(
  'The pods’ `securityContext`, in place of the operator’s: a user, group and fsGroup of 10001, and seccomp’s ' +
    'RuntimeDefault. `{}` leaves all of it to the platform, such as OpenShift’s restricted-v2.',
);

export const containerSecurityContext = partOfAPod(
  'The `securityContext` of the cache container, in place of the operator’s: a read-only root, no capabilities, no ' +
    'privilege escalation.',
);

export const template = {
  type: 'object',
  description:
    'A partial PodTemplateSpec, merged into the pods last, as a strategic merge patch is: volumes, init containers, ' +
    'sidecars, host aliases, runtime class, scheduler, DNS. It can add and replace, not remove. What the cache needs to ' +
    'work is refused: labels of the operator, ports, probes, arguments, image and mounts of the container `cache`.',
  properties: {
    metadata: {
      type: 'object',
      description: 'Labels and annotations.',
      properties: {
        labels: stringMap('Additional labels of the pods.', 63),
        annotations: stringMap('Additional annotations of the pods.', 4096),
      },
    },
    spec: partOfAPod('A partial PodSpec.'),
  },
} as const satisfies Schema;
