/** A prewarm as the API server would return it, and the report of a pod about its first run. */
import type { OrcaPrewarm, OrcaPrewarmSpec, OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import type { PrewarmReport } from '#shared/prewarm-report.ts';

export const UID = '6f0a3f7e-0000-4000-8000-000000000002';
export const CREATED_MS = Date.UTC(2026, 0, 1);

export function prewarmOf(spec: Partial<OrcaPrewarmSpec> = {}, status: OrcaPrewarmStatus = {}): OrcaPrewarm {
  return {
    apiVersion: 'orcacache.dev/v1alpha1',
    kind: 'OrcaPrewarm',
    metadata: {
      name: 'llama',
      namespace: 'ml',
      uid: UID,
      generation: 1,
      resourceVersion: '7',
      creationTimestamp: new Date(CREATED_MS).toISOString(),
    },
    spec: {
      cacheRef: { name: 'models' },
      targets: [{ bucket: 'models' }],
      parallelism: 32,
      timeZone: 'UTC',
      suspend: false,
      ...spec,
    },
    status,
  };
}

export function reportOf(fields: Partial<PrewarmReport> = {}): PrewarmReport {
  return {
    uid: UID,
    name: 'llama',
    run: 1,
    state: 'running',
    listed: true,
    objects: { total: 4, done: 1, failed: 0 },
    bytes: { total: 400, done: 100, fromOrigin: 100, alreadyStored: 0 },
    bytesPerSecond: 100,
    failures: [],
    pin: 'none',
    message: '',
    ...fields,
  };
}
