/** Opens the drivers of a configuration. */
import type { Config } from '#cache/config/config.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Origin, PeerView, ProbedStore } from '#cache/engine/ports.ts';
import { originKindOf } from '#cache/origins/registry.ts';
import { openEndpointSlices } from '#cache/peers/endpoint-slices.ts';
import { openStaticPeers } from '#cache/peers/static.ts';
import { storeKindOf } from '#cache/stores/registry.ts';
import type { Env } from '#cache/wire/http1/proxy.ts';
import type { Clock } from '#shared/clock.ts';
import { openKubeClient, type KubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import type { Log } from '#shared/log.ts';

/** `env` names the HTTP proxies. */
export function openOrigin({ origin }: Config, env: Env): Origin {
  const kind = originKindOf(origin.type);
  return kind.open(settingsOf(origin, kind.schema.member), env);
}

/** `identity` if it is set; otherwise type, endpoint host and account. The text is the same on every replica. */
export function originFingerprint({ origin }: Config): string {
  const { identity, type } = origin;
  if (identity !== '') return identity;
  const kind = originKindOf(type);
  return `${type} ${kind.fingerprint(settingsOf(origin, kind.schema.member))}`;
}

export function openStore({ cacheStore }: Config, env: Env): ProbedStore {
  const kind = storeKindOf(cacheStore.type);
  return kind.open(settingsOf(cacheStore, kind.schema.member), env);
}

/** The API server of the cluster that this process runs in. */
export function openKube(clock: Clock): KubeClient {
  return openKubeClient(openInCluster(), { clock });
}

export function openPeers(
  config: Config,
  context: { clock: Clock; log: Log; stopping: AbortSignal; kube: KubeClient | undefined; worker: number },
): PeerView {
  const { peers, listen, workers } = config;
  const { worker } = context;
  if (peers.type === 'Static') return openStaticPeers({ ...peers, workers, worker });
  return openEndpointSlices({
    ...context,
    client: context.kube ?? openKube(context.clock),
    namespace: peers.namespace,
    service: peers.service,
    self: { ip: peers.self, port: listen.peer.port - worker, workers, worker },
  });
}

/** The rules of the schema guarantee that the member of the configured type is present. */
function settingsOf(section: Readonly<Record<string, unknown>>, member: string): object {
  const settings = section[member];
  if (typeof settings !== 'object' || settings === null)
    throw new OrcaError('internal', `${member} is missing from a configuration that was validated`);
  return settings;
}
