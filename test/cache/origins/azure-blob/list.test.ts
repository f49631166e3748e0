/** Lists of a scripted service with features that Azurite lacks: opaque markers, short pages, directories, escaped names. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import { compareKeys, nameOf, PageBuilder } from '#cache/core/s3/listing.ts';
import { openAzureList, type AzureList } from '#cache/origins/azure-blob/list.ts';
import { compareIn, type NameOrder } from '#cache/origins/azure-blob/order.ts';
import { openAzureClient } from '#cache/wire/azure/client.ts';
import { reply, startScriptedServer, type ScriptedServer } from '#test/support/scripted-server.ts';

process.env['ORCA_TEST_AZURE_KEY'] = 'a2V5';
const { signal } = new AbortController();

interface Blob {
  readonly name: string;
  readonly xml?: string;
  readonly metadata?: string;
}

interface Serving {
  readonly order?: NameOrder;
  readonly pageSize?: number;
  readonly markers?: 'kept' | 'forgotten';
}

interface World {
  readonly list: AzureList;
  readonly server: ScriptedServer;
  /** The query of each request. */
  queries(): URLSearchParams[];
}

const escape = (text: string): string =>
  text.replace(/[&<>]/g, (char) => `&#x${char.charCodeAt(0).toString(16).toUpperCase()};`);

function blobXml({ name, xml = '', metadata = '' }: Blob): string {
  return (
    `<Blob><Name>${escape(name)}</Name><Properties><Last-Modified>Wed, 21 Oct 2015 07:28:00 GMT</Last-Modified>` +
    `<Etag>0x8D1</Etag><Content-Length>7</Content-Length><BlobType>BlockBlob</BlobType>${xml}</Properties>` +
    `<Metadata>${metadata}</Metadata></Blob>`
  );
}

/** Serves pages of at most `pageSize` blobs with opaque markers. */
async function serve(
  blobs: readonly Blob[],
  { order = 'flat', pageSize = 5000, markers = 'kept' }: Serving = {},
): Promise<World> {
  const sorted = blobs.toSorted((a, b) => compareIn(order, a.name, b.name));
  const given = new Map<string, number>();
  const server = await startScriptedServer((request, out) => {
    const query = new URL(request.target, 'http://x').searchParams;
    const marker = query.get('marker');
    const start = marker === null ? 0 : given.get(marker);
    if (
      start === undefined ||
      (markers === 'forgotten' && marker !== null && given.delete(marker) && !isFresh(marker))
    ) {
      out.write(reply('400 Bad Request', { 'x-ms-error-code': 'OutOfRangeInput' }));
      return;
    }
    const under = sorted.filter(({ name }) => name.startsWith(query.get('prefix') ?? ''));
    const end = start + Math.min(pageSize, Number(query.get('maxresults')));
    const next = end < under.length ? `marker!${end}!${given.size}` : '';
    if (next !== '') given.set(next, end);
    last = next;
    const body = under.slice(start, end).map(blobXml).join('');
    out.write(
      reply(
        '200 OK',
        { 'content-type': 'application/xml' },
        `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${body}</Blobs>` +
          `<NextMarker>${next}</NextMarker></EnumerationResults>`,
      ),
    );
  });
  let last = '';
  const isFresh = (marker: string): boolean => marker === last;
  const client = openAzureClient({
    account: 'acme',
    endpoint: `${server.endpoint}/acme`,
    caFile: '',
    credentials: { kind: 'env', accountKeyVar: 'ORCA_TEST_AZURE_KEY' },
  });
  onTestFinished(async () => {
    client.close();
    await server[Symbol.asyncDispose]();
  });
  return {
    list: openAzureList(client),
    server,
    queries: () => server.requests.map(({ target }) => new URL(target, 'http://x').searchParams),
  };
}

const listPage = (world: World, query: Partial<ListQuery> = {}): Promise<ListPage> =>
  world.list.list('box', { prefix: '', delimiter: '', after: '', maxKeys: 1000, ...query }, { signal });
const namesOf = (page: ListPage): string[] => page.items.map(nameOf);

async function wholeList(world: World, query: Partial<ListQuery>): Promise<string[]> {
  const names: string[] = [];
  for (let after = ''; ; after = names.at(-1) ?? '') {
    const page = await listPage(world, { ...query, after });
    names.push(...namesOf(page));
    if (!page.truncated) return names;
  }
}

function model(names: readonly string[], query: Partial<ListQuery>): string[] {
  const builder = new PageBuilder({ prefix: '', delimiter: '', after: '', maxKeys: 100_000, ...query });
  for (const key of names.toSorted(compareKeys))
    builder.add({ key, etag: '', sizeBytes: 0, lastModifiedMs: 0, storageClass: '' });
  return namesOf(builder.page());
}

const many = Array.from({ length: 50 }, (_, index) => ({ name: `k/${String(index).padStart(3, '0')}` }));

test('reads a list of many pages once: each page continues at the marker of the service', async () => {
  const world = await serve(many);
  expect(await wholeList(world, { maxKeys: 10 })).toEqual(many.map(({ name }) => name));
  const markers = world.queries().map((query) => query.get('marker'));
  expect(markers).toHaveLength(5);
  expect(markers[0]).toBeNull();
  expect(markers.slice(1).every((marker) => marker?.startsWith('marker!') === true)).toBe(true);
});

test('reads from the start to reach a page whose predecessor another replica has listed', async () => {
  const world = await serve(many, { pageSize: 7 });
  expect(namesOf(await listPage(world, { after: 'k/030', maxKeys: 3 }))).toEqual(['k/031', 'k/032', 'k/033']);
  const [first, ...rest] = world.queries();
  expect(first?.has('marker')).toBe(false);
  for (const query of rest) expect(query.get('marker')).toMatch(/^marker!/);
});

test('continues after short and empty pages with a marker', async () => {
  const world = await serve(
    [{ name: 'a' }, { name: 'dir', metadata: '<hdi_isfolder>true</hdi_isfolder>' }, { name: 'z' }],
    {
      pageSize: 1,
    },
  );
  expect(namesOf(await listPage(world))).toEqual(['a', 'z']);
});

test('reads from the start if the service rejects a marker', async () => {
  const world = await serve(many, { markers: 'forgotten', pageSize: 20 });
  await listPage(world, { maxKeys: 10 });
  expect(namesOf(await listPage(world, { after: 'k/009', maxKeys: 2 }))).toEqual(['k/010', 'k/011']);
  expect(namesOf(await listPage(world, { after: 'k/009', maxKeys: 2 }))).toEqual(['k/010', 'k/011']);
});

describe.for([
  ['flat', ''],
  ['segments', '<ResourceType>file</ResourceType>'],
] as const)('the list of an account with the order %s', ([order, xml]) => {
  const keys = ['a-b', 'a/x', 'a/y', 'a.c', 'a0', 'b/c/d', 'b/c-d', 'b', 'z\u{1f433}', 'z\uff5e', 'a/x-1', 'a/x/2'];
  const directories = ['a', 'a/x', 'b/c'].map((name) => ({ name, xml: '<ResourceType>directory</ResourceType>' }));
  const files = keys.filter((key) => order === 'flat' || !['b', 'a/x'].includes(key));
  const blobs = [...files.map((name) => ({ name, xml })), ...(order === 'segments' ? directories : [])];

  test.for([
    ['', '', 1],
    ['', '', 3],
    ['', '/', 1],
    ['', '/', 2],
    ['a', '/', 2],
    ['a/', '', 1],
    ['', '-', 1],
    ['', '.c', 2],
  ] as const)('equals S3’s for prefix %j, delimiter %j and %i keys per page', async ([prefix, delimiter, maxKeys]) => {
    for (const pageSize of [1, 2, 5000]) {
      const world = await serve(blobs, { order, pageSize });
      expect(await wholeList(world, { prefix, delimiter, maxKeys })).toEqual(model(files, { prefix, delimiter }));
    }
  });
});

test('translates tiers, restores and ETags to S3’s form', async () => {
  const world = await serve([
    { name: 'cold', xml: '<AccessTier>Archive</AccessTier><ArchiveStatus>rehydrate-pending-to-hot</ArchiveStatus>' },
    { name: 'hot', xml: '<AccessTier>Hot</AccessTier>' },
  ]);
  expect((await listPage(world)).items).toEqual([
    {
      kind: 'object',
      entry: {
        key: 'cold',
        etag: '0x8D1-1',
        sizeBytes: 7,
        lastModifiedMs: Date.UTC(2015, 9, 21, 7, 28),
        storageClass: 'GLACIER',
        restore: 'ongoing-request="true"',
      },
    },
    { kind: 'object', entry: expect.objectContaining({ key: 'hot', storageClass: 'STANDARD' }) as unknown },
  ]);
});

test('limits the requests for a distant page; the next attempt continues there', async () => {
  const world = await serve(many, { pageSize: 1 });
  await expect(listPage(world, { after: 'k/045', maxKeys: 1 })).rejects.toMatchObject({
    code: 'origin_throttled',
    retryAfterMs: 1000,
  });
  expect(world.server.requests).toHaveLength(40);
  expect(namesOf(await listPage(world, { after: 'k/045', maxKeys: 1 }))).toEqual(['k/046']);
});

test('rejects a truncated document', async () => {
  const server = await startScriptedServer((_, out) =>
    out.write(reply('200 OK', {}, '<EnumerationResults><Blobs></Blobs><NextMarker>')),
  );
  const client = openAzureClient({
    account: 'acme',
    endpoint: `${server.endpoint}/acme`,
    caFile: '',
    credentials: { kind: 'env', accountKeyVar: 'ORCA_TEST_AZURE_KEY' },
  });
  onTestFinished(async () => {
    client.close();
    await server[Symbol.asyncDispose]();
  });
  const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
  await expect(openAzureList(client).list('box', query, { signal })).rejects.toMatchObject({
    code: 'origin_unavailable',
  });
});
