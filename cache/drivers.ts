/** Which driver a configuration asks for: the only place that knows them all. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin, PeerView, ProbedStore } from '#cache/engine/ports.ts';
import { openAzureOrigin } from '#cache/origins/azure-blob/origin.ts';
import { openS3Origin } from '#cache/origins/s3/origin.ts';
import { openEndpointSlices } from '#cache/peers/endpoint-slices.ts';
import { openStaticPeers } from '#cache/peers/static.ts';
import { openAzureStore } from '#cache/stores/azure-blob/store.ts';
import { openFilesystemStore } from '#cache/stores/filesystem/store.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { azureAddress } from '#cache/wire/azure/address.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { Clock } from '#shared/clock.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import type { Log } from '#shared/log.ts';
import type { Config } from '#cache/config/config.ts';

/** `env` names the HTTP proxies. */
export function openOrigin(config: Config, env: Env): Origin {
  const { type, s3, azureBlob } = config.origin;
  switch (type) {
    case 'S3':
      return openS3Origin({ ...present(s3, 'origin.s3'), env });
    case 'AzureBlob':
      return openAzureOrigin({ ...present(azureBlob, 'origin.azureBlob'), env });
  }
}

/** Type, endpoint host and account, or what the user calls it: the same origin gives the same text on every replica. */
export function originFingerprint(config: Config): string {
  const { identity, type } = config.origin;
  if (identity !== '') return identity;
  switch (type) {
    case 'S3': {
      const { endpoint, region } = present(config.origin.s3, 'origin.s3');
      return `${type} ${endpoint === '' ? `s3.${region}.amazonaws.com` : new URL(endpoint).host}`;
    }
    case 'AzureBlob': {
      const azure = present(config.origin.azureBlob, 'origin.azureBlob');
      return `${type} ${azureAddress(azure).host} ${azure.account}`;
    }
  }
}

export function openStore(config: Config, env: Env): ProbedStore {
  const { type, s3, azureBlob, filesystem } = config.cacheStore;
  switch (type) {
    case 'S3':
      return openS3Store({ ...present(s3, 'cacheStore.s3'), env });
    case 'AzureBlob':
      return openAzureStore({ ...present(azureBlob, 'cacheStore.azureBlob'), env });
    case 'Filesystem':
      return openFilesystemStore(present(filesystem, 'cacheStore.filesystem'));
  }
}

export function openPeers(config: Config, context: { clock: Clock; log: Log; stopping: AbortSignal }): PeerView {
  const { peers, listen } = config;
  if (peers.type === 'Static') return openStaticPeers(peers);
  return openEndpointSlices({
    ...context,
    client: openKubeClient(openInCluster(), { clock: context.clock }),
    namespace: peers.namespace,
    service: peers.service,
    self: { ip: peers.self, port: listen.peer.port },
  });
}

function present<T>(value: T | undefined, path: string): T {
  if (value === undefined) throw new OrcaError('internal', `${path} is missing from a configuration that was checked`);
  return value;
}
