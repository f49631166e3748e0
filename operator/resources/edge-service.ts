/** The Service for clients; it has the name of the cache. */
import type { Body, Service } from '#operator/api/kubernetes.ts';
import type { Manifest } from '#operator/api/manifest.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { childMetadata, childName, selectorLabels } from './labels.ts';

const PORT = { http: 80, https: 443 } as const;

function schemeOf(cache: OrcaCache): keyof typeof PORT {
  return cache.spec.edge.tls === undefined ? 'http' : 'https';
}

export function edgePort(cache: OrcaCache): number {
  return cache.spec.edge.service.port ?? PORT[schemeOf(cache)];
}

/** The endpoint URL for clients inside the cluster. */
export function edgeUrl(cache: OrcaCache): string {
  const port = edgePort(cache);
  const host = `${childName.workload(cache)}.${cache.metadata.namespace}.svc`;
  const scheme = schemeOf(cache);
  return port === PORT[scheme] ? `${scheme}://${host}` : `${scheme}://${host}:${port}`;
}

export function edgeService(cache: OrcaCache) {
  const { type, annotations = {}, trafficDistribution, ipFamilyPolicy, ipFamilies } = cache.spec.edge.service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(cache, childName.workload(cache), { annotations }),
    spec: {
      type,
      selector: selectorLabels(cache),
      ports: [
        { name: 'edge', port: edgePort(cache), targetPort: 'edge', protocol: 'TCP', appProtocol: schemeOf(cache) },
      ],
      ...(trafficDistribution === undefined ? {} : { trafficDistribution }),
      ...(ipFamilyPolicy === undefined ? {} : { ipFamilyPolicy }),
      ...(ipFamilies === undefined ? {} : { ipFamilies: [...ipFamilies] }),
    },
  } satisfies Manifest & Body<Service>;
}
