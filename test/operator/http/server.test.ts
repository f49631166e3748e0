import { describe, expect, onTestFinished, test } from 'vitest';
import { WorkQueue } from '#operator/control/work-queue.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { openMetricsServer, openProbes, type OpenServer } from '#operator/http/server.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

async function get({ port }: OpenServer, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

function closing(server: OpenServer): OpenServer {
  onTestFinished(() => server.close());
  return server;
}

describe('the probes', () => {
  test('report the current problem, and ok without one', async () => {
    let problem: string | undefined = 'the initial lists are not complete';
    const server = closing(
      await openProbes(
        0,
        () => undefined,
        () => problem,
      ),
    );
    expect(await get(server, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
    expect(await get(server, '/readyz')).toEqual({ status: 503, text: 'the initial lists are not complete\n' });
    problem = undefined;
    expect(await get(server, '/readyz?verbose')).toEqual({ status: 200, text: 'ok\n' });
    expect((await get(server, '/metrics')).status).toBe(404);
  });

  test('cannot be opened on a port in use', async () => {
    const server = closing(
      await openProbes(
        0,
        () => undefined,
        () => undefined,
      ),
    );
    await expect(
      openProbes(
        server.port,
        () => undefined,
        () => undefined,
      ),
    ).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('the metrics', () => {
  test('have the names of controller-runtime', async () => {
    const clock = fakeClock();
    const metrics = openMetrics('1.2.3', 'api:6443');
    const caches = metrics.controller('orcacache');
    const queue = new WorkQueue({ clock, observe: caches.queueObserver });
    caches.watchQueue(() => queue, 4);
    metrics.controller('orcaprewarm').reconciled('success', 10);
    const server = closing(await openMetricsServer(0, metrics.registry));
    queue.add('a');
    queue.add('b');
    await queue.next(new AbortController().signal);
    caches.reconciled('success', 20);
    caches.reconciled('stalled', 20);
    caches.reconciled('error', 20);
    metrics.requested('GET', 200, 5);
    metrics.requested('PATCH', 0, 5);
    const { text } = await get(server, '/metrics');
    for (const line of [
      'controller_runtime_reconcile_total{controller="orcacache",result="success"} 2',
      'controller_runtime_reconcile_total{controller="orcacache",result="error"} 1',
      'controller_runtime_reconcile_total{controller="orcaprewarm",result="success"} 1',
      'controller_runtime_reconcile_errors_total{controller="orcacache"} 1',
      'controller_runtime_terminal_reconcile_errors_total{controller="orcacache"} 1',
      'controller_runtime_reconcile_time_seconds_count{controller="orcacache"} 3',
      'controller_runtime_max_concurrent_reconciles{controller="orcacache"} 4',
      'controller_runtime_active_workers{controller="orcacache"} 1',
      'workqueue_depth{name="orcacache",controller="orcacache"} 1',
      'workqueue_adds_total{name="orcacache",controller="orcacache"} 2',
      'rest_client_requests_total{code="200",method="GET",host="api:6443"} 1',
      'rest_client_requests_total{code="<error>",method="PATCH",host="api:6443"} 1',
      `orcacache_operator_build_info{version="1.2.3",node="${process.version}"} 1`,
    ])
      expect(text.split('\n')).toContain(line);
  });
});
