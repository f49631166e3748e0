import { describe, expect, test } from 'vitest';
import { IMAGE, runContainer, startContainer, USER_ID } from './support.ts';

const PROBE_PORT = 8081;
const METRICS_PORT = 8080;
/** The grace period of the operator's pod. */
const GRACE_PERIOD_MS = 10_000;
const KUBECONFIG = '/etc/orca/kubeconfig';

/** Nothing listens on port 9 of the pod itself. */
const UNREACHABLE = `
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: any, user: {token: not-a-secret}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: any}}]
current-context: nowhere
`;

async function startOperator() {
  return startContainer(IMAGE.operator, { port: PROBE_PORT, path: '/healthz' }, [PROBE_PORT, METRICS_PORT], {
    command: ['--kubeconfig', KUBECONFIG],
    environment: { CACHE_IMAGE: IMAGE.cache },
    files: { [KUBECONFIG]: UNREACHABLE },
  });
}

describe('the operator image', () => {
  test('runs node as PID 1, as an unprivileged user, on a read-only root', async () => {
    const operator = await startOperator();
    const found: unknown = JSON.parse(
      await operator.evaluate(`
        import { readFileSync, writeFileSync } from 'node:fs';
        const attempt = (path) => { try { writeFileSync(path, ''); return 'written'; } catch ({ code }) { return code; } };
        const [, first] = /^Uid:\\s+(\\d+)/m.exec(readFileSync('/proc/1/status', 'utf8'));
        console.log(JSON.stringify({
          uid: Number(first),
          command: readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(0, 2),
          writes: ['/file', '/app/file', '/tmp/file'].map(attempt),
        }));`),
    );
    expect(found).toEqual({ uid: USER_ID, command: ['node', 'operator/main.ts'], writes: ['EROFS', 'EROFS', 'EROFS'] });
  });

  test('contains the runtime files and no development tools', async () => {
    const operator = await startOperator();
    const listing = await operator.evaluate(`
      import { readdirSync } from 'node:fs';
      const modules = readdirSync('/app/node_modules');
      console.log(JSON.stringify({
        app: readdirSync('/app').toSorted(),
        developmentTools: modules.filter((name) => ['typescript', 'vitest', 'testcontainers', 'oxlint'].includes(name)),
      }));`);
    expect(JSON.parse(listing)).toEqual({
      app: ['crds', 'node_modules', 'operator', 'package.json', 'shared'],
      developmentTools: [],
    });
  });

  test('is healthy but not ready while its API server is unreachable', async () => {
    const operator = await startOperator();
    expect((await fetch(operator.url(PROBE_PORT, '/healthz'))).status).toBe(200);
    expect((await fetch(operator.url(PROBE_PORT, '/readyz'))).status).toBe(503);
    expect(await (await fetch(operator.url(METRICS_PORT, '/metrics'))).text()).toContain('workqueue_depth');
  });

  test('exits with code 0 on SIGTERM, within its grace period', async () => {
    const operator = await startOperator();
    const { exitCode, tookMs } = await operator.terminate();
    expect(exitCode).toBe(0);
    expect(tookMs).toBeLessThan(GRACE_PERIOD_MS);
  });

  test('rejects invalid settings with exit code 1, naming each', async () => {
    const { exitCode, output } = await runContainer(IMAGE.operator, { environment: { LOG_LEVEL: 'loud' } });
    expect(output).toContain('CACHE_IMAGE');
    expect(output).toContain('LOG_LEVEL');
    expect(exitCode).toBe(1);
  });

  test('reports an error when it runs outside a cluster', async () => {
    const { exitCode, output } = await runContainer(IMAGE.operator, { environment: { CACHE_IMAGE: IMAGE.cache } });
    expect(output).toContain('orca-operator: ');
    expect(exitCode).toBe(1);
  });
});
