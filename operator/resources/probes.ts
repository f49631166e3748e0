/** When a pod counts as started, alive and ready; all three are asked on the ops listener. */
import type { Container } from '#operator/api/kubernetes.ts';

type Probe = NonNullable<Container['readinessProbe']>;

const LIVE = { path: '/livez', port: 'ops' };
const READY = { path: '/readyz', port: 'ops' };

/** A minute for Node to start on a busy node; a bad config ends the process long before. */
export const startupProbe: Probe = { httpGet: LIVE, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 };

/** A minute of a blocked event loop: shorter stalls pass by themselves, and a restart would lose the memory tier. */
export const livenessProbe: Probe = { httpGet: LIVE, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 };

/** Out of the Service within 6 s; twice, since one slow answer on a busy node means nothing. */
export const readinessProbe: Probe = { httpGet: READY, periodSeconds: 3, timeoutSeconds: 2, failureThreshold: 2 };
