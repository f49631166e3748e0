/** Which driver a configuration asks for: the only place that knows them all. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin, PeerView, ProbedStore } from '#cache/engine/ports.ts';
import { openS3Origin } from '#cache/origins/s3.ts';
import { openEndpointSlices } from '#cache/peers/endpoint-slices.ts';
import { openStaticPeers } from '#cache/peers/static.ts';
import type { Env } from '#cache/wire/proxy.ts';
import { openFilesystemStore } from '#cache/stores/filesystem.ts';
import { openS3Store } from '#cache/stores/s3.ts';
import type { Clock } from '#shared/clock.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import type { Log } from '#shared/log.ts';
import type { Config } from './config/config.ts';

/** `env` names the HTTP proxies. */
export function openOrigin(config: Config, env: Env): Origin {
  switch (config.origin.type) {
    case 'S3':
      return openS3Origin({ ...config.origin.s3, env });
  }
}

/** Type and endpoint host, or what the user calls it: the same origin gives the same text on every replica. */
export function originFingerprint(config: Config): string {
  const { identity, type, s3 } = config.origin;
  if (identity !== '') return identity;
  const host = s3.endpoint === '' ? `s3.${s3.region}.amazonaws.com` : new URL(s3.endpoint).host;
  return `${type} ${host}`;
}

export function openStore(config: Config, env: Env): ProbedStore {
  const { type, s3, filesystem } = config.cacheStore;
  switch (type) {
    case 'S3':
      return openS3Store({ ...present(s3, 'cacheStore.s3'), env });
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
