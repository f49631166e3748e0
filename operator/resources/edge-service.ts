/** Where clients come in; named like the cache. */
import type { Body, Service } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

const HTTP_PORT = 80;

export function edgePort(cache: OrcaCache): number {
  return cache.spec.edge.service.port ?? HTTP_PORT;
}

/** What a client inside the cluster pastes as its endpoint URL. */
export function edgeUrl(cache: OrcaCache): string {
  const port = edgePort(cache);
  const host = `${childName.workload(cache)}.${cache.metadata.namespace}.svc`;
  return port === HTTP_PORT ? `http://${host}` : `http://${host}:${port}`;
}

export function edgeService(cache: OrcaCache) {
  const { type, annotations = {}, trafficDistribution } = cache.spec.edge.service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(cache, childName.workload(cache), { annotations }),
    spec: {
      type,
      selector: selectorLabels(cache),
      ports: [{ name: 'edge', port: edgePort(cache), targetPort: 'edge', protocol: 'TCP', appProtocol: 'http' }],
      ...(trafficDistribution === undefined ? {} : { trafficDistribution }),
    },
  } satisfies Manifest & Body<Service>;
}
