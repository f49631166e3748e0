import { expect, test } from 'vitest';
import { listContainers } from '#cache/origins/azure-blob/containers.ts';
import type { AzureClient, AzureRequest } from '#cache/wire/azure/client.ts';

const { signal } = new AbortController();

function clientOf(pages: readonly string[]) {
  const requests: AzureRequest[] = [];
  const client: AzureClient = {
    async send(request) {
      requests.push(request);
      return { status: 200, headers: {}, body: Buffer.from(pages[requests.length - 1] ?? '') };
    },
    close() {},
  };
  return { client, requests };
}

const page = (names: readonly string[], marker: string): string =>
  `<?xml version="1.0"?><EnumerationResults><Containers>${names
    .map((name) => `<Container><Name>${name}</Name><Properties><Etag>"0x1"</Etag></Properties></Container>`)
    .join('')}</Containers><NextMarker>${marker}</NextMarker></EnumerationResults>`;

test('containers are listed page by page', async () => {
  const { client, requests } = clientOf([page(['team-a', 'team-b'], '/acme/team-c'), page(['team-c'], '')]);
  expect(await listContainers(client, 'team-', { signal })).toEqual(['team-a', 'team-b', 'team-c']);
  expect(requests.map(({ query }) => Object.fromEntries(query ?? []))).toEqual([
    { comp: 'list', maxresults: '5000', prefix: 'team-' },
    { comp: 'list', maxresults: '5000', prefix: 'team-', marker: '/acme/team-c' },
  ]);
});

test('a truncated page is not an answer', async () => {
  const { client } = clientOf([page(['team-a'], '').slice(0, -10)]);
  await expect(listContainers(client, '', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
});
