import { describe, expect, test, vi } from 'vitest';
import { MOUNT, POD_PORT } from '#crds/names.ts';
import { IMAGE, runContainer, startContainer, USER_ID } from './support.ts';

const PROPAGATION_DELAY_MS = 1_000;
const DRAIN_TIMEOUT_MS = 5_000;
/** Covers the first attempt at a refused connection, and its retries. */
const PROBE_TIMEOUT_MS = 30_000;
/** The operator adds this margin to the two above for the pod's grace period. */
const GRACE_MARGIN_MS = 15_000;

/** Nothing listens on port 9 of the pod itself. */
const CONFIG = `
origin:
  id: nowhere
  type: S3
  s3: {endpoint: "http://127.0.0.1:9", region: us-east-1, forcePathStyle: true}
  buckets: [{name: models}]
cacheStore:
  type: Filesystem
  filesystem: {path: ${MOUNT.filesystemStore}}
memory: {budget: 1Gi}
runtimeFile: ${MOUNT.runtime}
shutdown: {propagationDelay: ${PROPAGATION_DELAY_MS}ms, drainTimeout: ${DRAIN_TIMEOUT_MS}ms}
`;
/** Written by an operator that has not yet seen this configuration serve. */
const RUNTIME = 'provenConfigs: ["00000000"]\n';
const CREDENTIALS = { ORCA_ORIGIN_ACCESS_KEY_ID: 'any', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'not-a-secret' };

async function startCache() {
  return startContainer(IMAGE.cache, { port: POD_PORT.ops, path: '/livez' }, [POD_PORT.ops, POD_PORT.edge], {
    files: { [MOUNT.config]: CONFIG, [MOUNT.runtime]: RUNTIME },
    folders: [MOUNT.filesystemStore],
    environment: CREDENTIALS,
  });
}

describe('the cache image', () => {
  test('runs node as PID 1, as an unprivileged user, on a read-only root', async () => {
    const cache = await startCache();
    const found: unknown = JSON.parse(
      await cache.evaluate(`
        import { readFileSync, writeFileSync } from 'node:fs';
        const attempt = (path) => { try { writeFileSync(path, ''); return 'written'; } catch ({ code }) { return code; } };
        const [, first] = /^Uid:\\s+(\\d+)/m.exec(readFileSync('/proc/1/status', 'utf8'));
        console.log(JSON.stringify({
          uid: Number(first),
          command: readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(0, 2),
          writes: ['/file', '/app/file', '/tmp/file', '${MOUNT.config}'].map(attempt),
          store: attempt('${MOUNT.filesystemStore}/file'),
        }));`),
    );
    expect(found).toEqual({
      uid: USER_ID,
      command: ['node', 'cache/main.ts'],
      writes: ['EROFS', 'EROFS', 'EROFS', 'EROFS'],
      store: 'written',
    });
  });

  test('contains the runtime files and no development tools', async () => {
    const cache = await startCache();
    const listing = await cache.evaluate(`
      import { readdirSync } from 'node:fs';
      const modules = readdirSync('/app/node_modules');
      console.log(JSON.stringify({
        app: readdirSync('/app').toSorted(),
        developmentTools: modules.filter((name) => ['typescript', 'vitest', 'testcontainers', 'oxlint'].includes(name)),
      }));`);
    expect(JSON.parse(listing)).toEqual({
      app: ['cache', 'crds', 'node_modules', 'package.json', 'shared'],
      developmentTools: [],
    });
  });

  test('is live but not ready while a new config has not reached its origin', async () => {
    const cache = await startCache();
    const get = (path: string) => fetch(cache.url(POD_PORT.ops, path));
    await vi.waitFor(
      async () => expect(await (await get('/readyz?verbose')).text()).toMatch(/^\[\+\] cachestore.*^\[-\] .*models/ms),
      { timeout: PROBE_TIMEOUT_MS, interval: 200 },
    );
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/livez')).status).toBe(200);
    expect(await (await get('/metrics')).text()).toContain('process_cpu_seconds_total');
  });

  test('exits with code 0 on SIGTERM, within its grace period', async () => {
    const cache = await startCache();
    const { exitCode, output, tookMs } = await cache.terminate();
    expect(output).toContain('stopped');
    expect(exitCode).toBe(0);
    // It waits for endpoint propagation; no response streams are open to drain.
    expect(tookMs).toBeGreaterThanOrEqual(PROPAGATION_DELAY_MS);
    expect(tookMs).toBeLessThan(PROPAGATION_DELAY_MS + DRAIN_TIMEOUT_MS + GRACE_MARGIN_MS);
  });

  test('rejects an invalid config with exit code 1, naming the path of each invalid field', async () => {
    const files = { [MOUNT.config]: `${CONFIG}chunking: {size: tiny}\nlogLevl: info\n` };
    const { exitCode, output } = await runContainer(IMAGE.cache, { files, environment: CREDENTIALS });
    expect(output).toContain('chunking.size');
    expect(output).toContain('logLevl');
    expect(exitCode).toBe(1);
  });

  test('names the missing file when it is given no config', async () => {
    const { exitCode, output } = await runContainer(IMAGE.cache, {});
    expect(output).toContain(MOUNT.config);
    expect(exitCode).toBe(1);
  });
});
