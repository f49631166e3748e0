/**
 * Volumes of a pod: config file, runtime file, peer key, referenced Secrets and ConfigMaps, and a filesystem
 * cachestore.
 */
import { MOUNT } from '#crds/names.ts';
import type { Volume, VolumeMount } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { CONFIG_KEY, directory } from './config-map.ts';
import type { BuildContext } from './context.ts';
import { childName } from './labels.ts';
import { claims, references, type Claim, type Reference } from './reference.ts';

/** Readable by the pod's group only. */
const SECRET_MODE = 0o440;
const PEER_VOLUME = 'peer-auth';

export interface Mounted {
  readonly volumes: Volume[];
  readonly volumeMounts: VolumeMount[];
}

export function mounted(cache: OrcaCache, { config }: BuildContext): Mounted {
  const parts = [
    configFile(childName.config(cache, config.hash)),
    runtimeDirectory(childName.runtimeConfig(cache)),
    secretDirectory(PEER_VOLUME, childName.peerAuth(cache), `${MOUNT.credentials}/peers`),
    ...references(cache).flatMap(referenced),
    ...claims(cache).map(claimed),
  ];
  return { volumes: parts.map(({ volume }) => volume), volumeMounts: parts.map(({ mount }) => mount) };
}

interface Part {
  readonly volume: Volume;
  readonly mount: VolumeMount;
}

function configFile(configMapName: string): Part {
  return {
    volume: { name: 'config', configMap: { name: configMapName } },
    // subPath mounts get no updates. That is safe here: this ConfigMap is immutable.
    mount: { name: 'config', mountPath: MOUNT.config, subPath: CONFIG_KEY, readOnly: true },
  };
}

function runtimeDirectory(configMapName: string): Part {
  return {
    volume: { name: 'runtime', configMap: { name: configMapName } },
    mount: { name: 'runtime', mountPath: directory(MOUNT.runtime), readOnly: true },
  };
}

/** A directory, not single files: the kubelet then replaces all keys atomically when the Secret changes. */
function secretDirectory(volume: string, secretName: string, mountPath: string): Part {
  return {
    // Not optional: a container must not start without its keys.
    volume: { name: volume, secret: { secretName, defaultMode: SECRET_MODE, optional: false } },
    mount: { name: volume, mountPath, readOnly: true },
  };
}

function referenced({ kind, name, mount }: Reference): Part[] {
  if (mount === undefined) return [];
  if (kind === 'Secret') return [secretDirectory(mount.volume, name, mount.path)];
  return [
    {
      volume: { name: mount.volume, configMap: { name, optional: false } },
      mount: { name: mount.volume, mountPath: mount.path, readOnly: true },
    },
  ];
}

function claimed({ claimName, mount }: Claim): Part {
  return {
    volume: { name: mount.volume, persistentVolumeClaim: { claimName } },
    mount: { name: mount.volume, mountPath: mount.path },
  };
}
