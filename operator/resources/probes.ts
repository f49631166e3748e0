/** Startup, liveness and readiness probes, all on the ops listener. */
import type { Container } from '#operator/api/kubernetes.ts';

type Probe = NonNullable<Container['readinessProbe']>;

const LIVE = { path: '/livez', port: 'ops' };
const READY = { path: '/readyz', port: 'ops' };

/** 60 s for Node.js to start on a busy node. An invalid config ends the process long before that. */
export const startupProbe: Probe = { httpGet: LIVE, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 };

/** 60 s of a blocked event loop. Shorter stalls recover by themselves, and a restart would lose the memory tier. */
export const livenessProbe: Probe = { httpGet: LIVE, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 };

/** Removed from the Service within 6 s. Two failures, because a busy node may delay one response. */
export const readinessProbe: Probe = { httpGet: READY, periodSeconds: 3, timeoutSeconds: 2, failureThreshold: 2 };
