/** Walks a list page by page, as a client with a small page size does. */
import { compareKeys } from '#cache/core/s3/listing.ts';
import { ORIGIN_BUCKET } from '#test/support/replicas.ts';
import { leavesOf } from './aspects.ts';
import { request, send, type Query, type Server } from './request.ts';

/** More than the names in any bucket here. */
const MAX_PAGES = 100;

/** The walks of many lists, by their query. */
export async function walks(server: Server, version: 'v1' | 'v2'): Promise<Record<string, readonly string[]>> {
  const walked: Record<string, readonly string[]> = {};
  for (const prefix of ['', 'list/', 'list/a'])
    for (const delimiter of ['', '/', 'b'])
      for (const size of ['1', '2', '3', '100']) {
        const query: Query = [
          ['prefix', prefix],
          ['delimiter', delimiter],
          ['max-keys', size],
        ];
        walked[JSON.stringify(query)] = await walk(server, version, query);
      }
  return walked;
}

/** Keys and common prefixes in the order of the responses. */
async function walk(server: Server, version: 'v1' | 'v2', query: Query): Promise<string[]> {
  const names: string[] = [];
  let next: Query = version === 'v2' ? [['list-type', '2']] : [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const { body } = await send(server, request(`/${ORIGIN_BUCKET}`, [...query, ...next]));
    const leaves = leavesOf(body.toString('utf8'));
    const all = (name: string) =>
      leaves.filter(({ path }) => path.slice(1).join('.') === name).map(({ value }) => value);
    const found = [...all('Contents.Key'), ...all('CommonPrefixes.Prefix')].toSorted(compareKeys);
    names.push(...found);
    if (all('IsTruncated')[0] !== 'true') return names;
    const [token] = all('NextContinuationToken');
    // Without a delimiter, V1 continues after the last key.
    const marker = all('NextMarker')[0] ?? found.at(-1);
    next =
      version === 'v2'
        ? [
            ['list-type', '2'],
            ['continuation-token', token ?? ''],
          ]
        : [['marker', marker ?? '']];
  }
  throw new Error(`the walk does not end: ${names.slice(0, 10).join(' ')} …`);
}
