/** List Containers: the account's containers, which are the buckets of an Azure origin. */
import { OrcaError } from '#cache/core/errors.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { withLimits } from '#cache/origins/response/limits.ts';
import type { AzureClient } from '#cache/wire/azure/client.ts';
import { errorFor } from './errors.ts';

/** As many as S3 lists, in pages of Azure's own limit. */
const MAX_CONTAINERS = 10_000;
const MAX_RESULTS = 5_000;
const MAX_ROUNDS = 10;
/** A container takes some 500 bytes of XML. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;

export async function listContainers(client: AzureClient, prefix: string, call: CallOptions): Promise<string[]> {
  const names: string[] = [];
  let marker = '';
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const query = [
      ['comp', 'list'],
      ['maxresults', String(MAX_RESULTS)],
      ...(prefix === '' ? [] : [['prefix', prefix] as const]),
      ...(marker === '' ? [] : [['marker', marker] as const]),
    ] as const;
    const request = { method: 'GET', container: '', query, maxCollectedBytes: MAX_PAGE_BYTES } as const;
    const response = await client.send(request, withLimits(call));
    if (response.status !== 200) throw errorFor(response, '', 'the list of containers');
    const xml = response.body.toString('utf8');
    if (!/<\/EnumerationResults>\s*$/.test(xml))
      throw new OrcaError('origin_unavailable', 'the list of containers is truncated');
    // Container names need no escaping.
    for (const [, name = ''] of xml.matchAll(/<Container><Name>([a-z0-9$-]{3,63})<\/Name>/g)) names.push(name);
    marker = /<NextMarker>([^<]+)<\/NextMarker>/.exec(xml)?.[1] ?? '';
    if (marker === '' || names.length >= MAX_CONTAINERS) return names;
  }
  throw new OrcaError('origin_unavailable', 'the list of containers does not end');
}
