import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { manifests, template } from './helm.ts';

const run = promisify(execFile);
const CHART = 'charts/orcacache-cluster';

interface Pod {
  readonly spec: { readonly containers: readonly { readonly command: string[]; readonly args: string[] }[] };
}

async function cacheRespondingWith(status: number): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end('x'.repeat(100_000)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the pod of helm test sends a request to every cache and accepts a refusal', async () => {
  const rendered = manifests(await template(CHART, '-f', `${CHART}/ci/two-values.yaml`));
  const pod = rendered.find(({ kind }) => kind === 'Pod') as unknown as Pod;
  const { command = [], args = [] } = pod.spec.containers[0] ?? {};
  const [script = '', dashes = '', ...urls] = args;
  expect(urls).toEqual(['http://data.orca-system.svc:8080', 'https://models.orca-system.svc:443']);
  expect(script.trim()).toBe(readFileSync(`${CHART}/files/test.mjs`, 'utf8').trim());

  const asked = [await cacheRespondingWith(200), await cacheRespondingWith(403)];
  const { stdout } = await run(command[0] ?? '', [...command.slice(1), script, dashes, ...asked]);
  expect(stdout).toBe(`ok      ${asked[0]} responded with status 200\nok      ${asked[1]} responded with status 403\n`);
});
