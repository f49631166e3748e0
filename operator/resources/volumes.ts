/** What is mounted into a pod: its config, what reloads, its keys, and a shared volume where the cachestore is one. */
import { MOUNT } from '#crds/names.ts';
import type { Volume, VolumeMount } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { CONFIG_KEY, directory } from './config-map.ts';
import type { BuildContext } from './context.ts';
import { childName } from './labels.ts';
import { references, type Reference } from './reference.ts';

/** Readable by the pod's group alone. */
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
    ...filesystemStore(cache),
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
    // A single file may be a subPath here: this ConfigMap never changes, so there is no update to miss.
    mount: { name: 'config', mountPath: MOUNT.config, subPath: CONFIG_KEY, readOnly: true },
  };
}

function runtimeDirectory(configMapName: string): Part {
  return {
    volume: { name: 'runtime', configMap: { name: configMapName } },
    mount: { name: 'runtime', mountPath: directory(MOUNT.runtime), readOnly: true },
  };
}

/** A whole directory, so that the kubelet can replace its content in one step when the Secret changes. */
function secretDirectory(volume: string, secretName: string, mountPath: string): Part {
  return {
    // Not optional: a container must not start with half of its keys.
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

function filesystemStore(cache: OrcaCache): Part[] {
  const claimName = cache.spec.cacheStore.filesystem?.persistentVolumeClaim.claimName;
  if (claimName === undefined) return [];
  return [
    {
      volume: { name: 'cachestore', persistentVolumeClaim: { claimName } },
      mount: { name: 'cachestore', mountPath: MOUNT.filesystemStore },
    },
  ];
}
