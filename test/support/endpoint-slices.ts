/** EndpointSlices of a headless Service, as the control plane writes them, for the fake API server. */

export interface FakeEndpoint {
  readonly ip: string;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

export const PEER_SERVICE = 'models-peers';
export const SLICES = '/apis/discovery.k8s.io/v1/namespaces/ml/endpointslices';

export function endpointSlice(endpoints: readonly FakeEndpoint[], port = 8444): object {
  return {
    metadata: { labels: { 'kubernetes.io/service-name': PEER_SERVICE } },
    addressType: 'IPv4',
    endpoints: endpoints.map(({ ip, serving = true, terminating = false }) => ({
      addresses: [ip],
      // publishNotReadyAddresses marks every endpoint as ready.
      conditions: { ready: true, serving, terminating },
    })),
    ports: [{ name: 'peer', port, protocol: 'TCP' }],
  };
}
