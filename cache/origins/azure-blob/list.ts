/**
 * Lists of an Azure origin: flat pages of List Blobs, put into S3's order and rolled up by ourselves, since Azure's own
 * delimiters, markers and order are others than S3's.
 */
import { OrcaError } from '#cache/core/errors.ts';
import {
  compareKeys,
  PageBuilder,
  rolledUpInto,
  type ListPage,
  type ListQuery,
  type ObjectEntry,
} from '#cache/core/s3/listing.ts';
import type { CallOptions } from '#cache/engine/ports.ts';
import { isDirectory, restoreOf, storageClassOf } from './headers.ts';
import { parseBlobPage, type BlobPage, type ListedBlob } from './list-xml.ts';
import { Marks, START } from './markers.ts';
import { S3Order } from './order.ts';
import { asS3Etag, type AzureClient } from '#cache/wire/azure/client.ts';
import { toOrcaError } from '#cache/origins/response/answers.ts';
import { errorFor } from './errors.ts';

/** Azure's own limit. */
const MAX_RESULTS = 5_000;
/** With all metadata that Azure allows 5000 blobs would have 40 MiB, as they mostly are 4. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** Of a page that was larger than that. */
const FEWER_RESULTS = 500;
/** 200 000 names behind which a page of a list may lie, seen from the last place that is known; who asks again gets on. */
const MAX_REQUESTS = 40;
const AGAIN_AFTER_MS = 1_000;
const ANSWER_TIMEOUT_MS = 10_000;

export interface AzureList {
  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage>;
}

interface Placed {
  readonly name: string;
  readonly entry: ObjectEntry;
}

export function openAzureList(client: AzureClient): AzureList {
  const marks = new Marks();

  const ask = async (
    bucket: string,
    prefix: string,
    marker: string,
    maxResults: number,
    call: CallOptions,
  ): Promise<BlobPage | 'bad_marker'> => {
    const query: [string, string][] = [
      ['restype', 'container'],
      ['comp', 'list'],
      ['maxresults', String(maxResults)],
      // Where there is no hierarchy, only the metadata tell of directories.
      ['include', 'metadata'],
    ];
    if (prefix !== '') query.push(['prefix', prefix]);
    if (marker !== '') query.push(['marker', marker]);
    const response = await client.send(
      { method: 'GET', container: bucket, query, maxCollectedBytes: MAX_PAGE_BYTES },
      { firstByteTimeoutMs: ANSWER_TIMEOUT_MS, ...call },
    );
    if (response.status === 400 && marker !== '') return 'bad_marker';
    if (response.status !== 200) throw errorFor(response, bucket, '');
    const page = parseBlobPage(response.body.toString('utf8'));
    if (page !== undefined) return page;
    if (maxResults <= FEWER_RESULTS) throw new OrcaError('origin_unavailable', `the list of ${bucket} has no end`);
    return ask(bucket, prefix, marker, FEWER_RESULTS, call);
  };

  const walk = async (bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> => {
    const { prefix, delimiter, after, maxKeys } = query;
    const builder = new PageBuilder(query);
    const order = new S3Order<Placed>(prefix, after);
    let { marker, greatest } = marks.before(bucket, query);
    let isRemembered = marker !== START.marker;
    let last = '';
    /** Exactly a page: then its end is a marker's place, and the next page goes on there. */
    let maxResults = delimiter === '' ? maxKeys : MAX_RESULTS;
    for (let request = 1; request <= MAX_REQUESTS; request++) {
      const page = await ask(bucket, prefix, marker, maxResults, call);
      if (page === 'bad_marker') {
        if (!isRemembered)
          throw new OrcaError('origin_unavailable', `the origin does not know its own marker of ${bucket}`);
        marks.forget(bucket, prefix);
        ({ marker, greatest } = START);
        isRemembered = false;
        continue;
      }
      isRemembered = false;
      for (const blob of page.blobs) {
        if (compareKeys(blob.name, greatest) > 0) greatest = blob.name;
        if (blob.resourceType !== undefined) order.sortsBySegments();
        if (isDirectory(blob.resourceType, blob.folderMark)) continue;
        const name = rolledUpInto(blob.name, query) ?? blob.name;
        if (name === last || (after !== '' && compareKeys(name, after) <= 0)) continue;
        last = name;
        for (const { entry } of order.push({ name, entry: entryOf(name, blob) }))
          if (!builder.add(entry)) return builder.page();
      }
      if (page.nextMarker === '') {
        for (const { entry } of order.flush()) if (!builder.add(entry)) break;
        return builder.page();
      }
      marker = page.nextMarker;
      marks.note(bucket, prefix, { marker, greatest });
      const { items } = builder.page();
      if (items.length === maxKeys && order.isEmpty) return { items, truncated: true };
      maxResults = MAX_RESULTS;
    }
    throw new OrcaError('origin_throttled', `the page of the list of ${bucket} lies behind too many others`, {
      retryAfterMs: AGAIN_AFTER_MS,
    });
  };

  return {
    async list(bucket, query, call) {
      try {
        return await walk(bucket, query, call);
      } catch (error) {
        throw toOrcaError(error, bucket);
      }
    },
  };
}

/** `key`: the blob's name, or what it is rolled up into. */
function entryOf(key: string, blob: ListedBlob): ObjectEntry {
  return {
    key,
    etag: asS3Etag(blob.etag),
    sizeBytes: blob.sizeBytes,
    lastModifiedMs: blob.lastModifiedMs,
    storageClass: storageClassOf(blob.tier),
    restore: restoreOf(blob.archiveStatus),
  };
}
