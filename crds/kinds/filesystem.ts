/** Shared file systems, as cachestore. */
import { objectName } from '#crds/schema/field-builders.ts';
import { path } from '#crds/schema/pod-path.ts';
import type { UpstreamKind } from './kind.ts';

export const filesystemStore = {
  type: 'Filesystem',
  member: 'filesystem',
  spec: {
    type: 'object',
    description: 'A volume that all replicas mount.',
    required: ['persistentVolumeClaim'],
    properties: {
      persistentVolumeClaim: {
        type: 'object',
        description: 'A PersistentVolumeClaim in the same namespace with access mode ReadWriteMany.',
        required: ['claimName'],
        properties: { claimName: objectName('Name of the PersistentVolumeClaim.') },
      },
    },
  },
  podFile: {
    type: 'object',
    description: 'A file system that all replicas share.',
    required: ['path'],
    properties: { path: path('Directory for the chunks.') },
  },
  references: [{ kind: 'PersistentVolumeClaim', field: 'persistentVolumeClaim' }],
} as const satisfies UpstreamKind;
