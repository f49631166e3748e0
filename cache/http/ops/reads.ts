/**
 * `GET /reads?versions=HEX.COUNT,…`: when chunks of these versions were last read, as far as this replica has it in memory:
 * reads of the shards that it owns, since it swept them. `/objects` has what the cachestore knows.
 */
import type { Context } from 'hono';
import { VERSION_DIGITS } from '#cache/core/capacity/chunk-key.ts';
import type { Engine } from '#cache/engine/engine.ts';

/** A URL of 4 KB, which every proxy accepts. */
export const MAX_VERSIONS = 50;
const VERSION = new RegExp(`^([0-9a-f]{${VERSION_DIGITS}})\\.([0-9]{1,7})$`);

export function readsHandler({ engine }: { readonly engine: Pick<Engine, 'capacity'> }): (c: Context) => Response {
  return (c) => {
    const versions = (c.req.query('versions') ?? '').split(',').map((text) => VERSION.exec(text));
    if (versions.length > MAX_VERSIONS || versions.includes(null)) {
      const message = `versions must be 1 to ${MAX_VERSIONS} of HEX.COUNT, separated by commas`;
      const body = { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason: 'bad_request', message };
      return Response.json({ ...body, code: 400 }, { status: 400 });
    }
    const lastReadMs = versions.map((match) => {
      const [, versionHex = '', count = ''] = match ?? [];
      return engine.capacity.versionUse.recentReadMs({ versionHex, chunkCount: Number(count) }) ?? null;
    });
    return c.json({ lastReadMs });
  };
}
