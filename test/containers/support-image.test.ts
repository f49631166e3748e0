import { describe, expect, test } from 'vitest';
import { IMAGE, runContainer, startContainer } from './support.ts';

const ADMIN_PORT = 7072;

describe('the image of the support servers', () => {
  test('runs the counting proxy', async () => {
    const proxy = await startContainer(IMAGE.support, { port: ADMIN_PORT, path: '/_health' }, [ADMIN_PORT], {
      command: ['node', 'counting-proxy.ts', '--upstream', 'http://127.0.0.1:9'],
    });
    const stats: unknown = await (await fetch(proxy.url(ADMIN_PORT, '/_stats'))).json();
    expect(stats).toMatchObject({ inFlight: 0, total: { requests: 0 } });
    expect(await proxy.terminate()).toMatchObject({ exitCode: 0 });
  });

  test('contains the S3 server', async () => {
    const { exitCode, output } = await runContainer(IMAGE.support, { command: ['versitygw', '--version'] });
    expect(output).toContain('Version');
    expect(exitCode).toBe(0);
  });
});
