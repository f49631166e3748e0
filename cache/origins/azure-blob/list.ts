/**
 * Lists of an Azure origin: reads flat pages of List Blobs, sorts them in S3's order, and groups them by delimiter. Azure's
 * own delimiters, markers and order differ from S3's.
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
import { toOrcaError } from '#cache/origins/response/answers.ts';
import { asS3Etag, type AzureClient } from '#cache/wire/azure/client.ts';
import { errorFor } from './errors.ts';
import { isDirectory, restoreOf, storageClassOf } from './headers.ts';
import { parseBlobPage, type BlobPage, type ListedBlob } from './list-xml.ts';
import { Markers, START } from './markers.ts';
import { S3Order } from './order.ts';

/** Azure's own limit. */
const MAX_RESULTS = 5_000;
/** 5000 blobs are usually 4 MiB of XML, but 40 MiB with all the metadata that Azure allows. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** Requested again after a page that exceeded the limit. */
const FEWER_RESULTS = 500;
/**
 * The maximum number of requests for one page of a list, which may start up to 200,000 names after the last known
 * marker. A client that repeats its request continues from there.
 */
const MAX_REQUESTS = 40;
const RETRY_AFTER_MS = 1_000;
const ANSWER_TIMEOUT_MS = 10_000;

export interface AzureList {
  list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage>;
}

export function openAzureList(client: AzureClient): AzureList {
  return new BlobList(client);
}

interface NamedEntry {
  readonly name: string;
  readonly entry: ObjectEntry;
}

class BlobList implements AzureList {
  readonly #client: AzureClient;
  readonly #markers = new Markers();

  constructor(client: AzureClient) {
    this.#client = client;
  }

  async list(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    try {
      return await this.#walk(bucket, query, call);
    } catch (error) {
      throw toOrcaError(error, bucket);
    }
  }

  /** Reads pages from the last known marker before `query.after` until a page of S3's list is complete. */
  async #walk(bucket: string, query: ListQuery, call: CallOptions): Promise<ListPage> {
    const { prefix, delimiter, maxKeys } = query;
    const page = new PageCollector(query);
    let { marker, greatest } = this.#markers.before(bucket, query);
    let isRemembered = marker !== START.marker;
    /** Exactly one page, so that the marker at its end is where the next page starts. */
    let maxResults = delimiter === '' ? maxKeys : MAX_RESULTS;
    for (let request = 1; request <= MAX_REQUESTS; request++) {
      const blobs = await this.#fetchPage(bucket, prefix, marker, maxResults, call);
      if (blobs === 'bad_marker') {
        if (!isRemembered)
          throw new OrcaError('origin_unavailable', `the origin rejects its own marker for the list of ${bucket}`);
        this.#markers.forget(bucket, prefix);
        ({ marker, greatest } = START);
        isRemembered = false;
        continue;
      }
      isRemembered = false;
      for (const blob of blobs.blobs) {
        if (compareKeys(blob.name, greatest) > 0) greatest = blob.name;
        if (!page.add(blob)) return page.result();
      }
      if (blobs.nextMarker === '') return page.finish();
      marker = blobs.nextMarker;
      this.#markers.note(bucket, prefix, { marker, greatest });
      if (page.isFull) return { items: page.result().items, truncated: true };
      maxResults = MAX_RESULTS;
    }
    throw new OrcaError('origin_throttled', `the requested page of the list of ${bucket} follows too many others`, {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  async #fetchPage(
    bucket: string,
    prefix: string,
    marker: string,
    maxResults: number,
    call: CallOptions,
  ): Promise<BlobPage | 'bad_marker'> {
    const query: [string, string][] = [
      ['restype', 'container'],
      ['comp', 'list'],
      ['maxresults', String(maxResults)],
      // In accounts without a hierarchical namespace, only the metadata identify directories.
      ['include', 'metadata'],
    ];
    if (prefix !== '') query.push(['prefix', prefix]);
    if (marker !== '') query.push(['marker', marker]);
    const response = await this.#client.send(
      { method: 'GET', container: bucket, query, maxCollectedBytes: MAX_PAGE_BYTES },
      { firstByteTimeoutMs: ANSWER_TIMEOUT_MS, ...call },
    );
    if (response.status === 400 && marker !== '') return 'bad_marker';
    if (response.status !== 200) throw errorFor(response, bucket, '');
    const page = parseBlobPage(response.body.toString('utf8'));
    if (page !== undefined) return page;
    if (maxResults <= FEWER_RESULTS) throw new OrcaError('origin_unavailable', `the list of ${bucket} is truncated`);
    return this.#fetchPage(bucket, prefix, marker, FEWER_RESULTS, call);
  }
}

/** Collects one page of S3's list from blobs in Azure's order. */
class PageCollector {
  readonly #query: ListQuery;
  readonly #builder: PageBuilder;
  readonly #order: S3Order<NamedEntry>;
  #lastName = '';

  constructor(query: ListQuery) {
    this.#query = query;
    this.#builder = new PageBuilder(query);
    this.#order = new S3Order(query.prefix, query.after);
  }

  /** False if the page is complete and a further item exists. */
  add(blob: ListedBlob): boolean {
    if (blob.resourceType !== undefined) this.#order.sortsBySegments();
    if (isDirectory(blob.resourceType, blob.folderMark)) return true;
    const { after } = this.#query;
    const name = rolledUpInto(blob.name, this.#query) ?? blob.name;
    if (name === this.#lastName || (after !== '' && compareKeys(name, after) <= 0)) return true;
    this.#lastName = name;
    return this.#order.push({ name, entry: entryOf(name, blob) }).every(({ entry }) => this.#builder.add(entry));
  }

  /** The page if there are no more blobs. */
  finish(): ListPage {
    for (const { entry } of this.#order.flush()) if (!this.#builder.add(entry)) break;
    return this.#builder.page();
  }

  result(): ListPage {
    return this.#builder.page();
  }

  get isFull(): boolean {
    return this.#order.isEmpty && this.#builder.page().items.length === this.#query.maxKeys;
  }
}

/** `key` is the blob's name, or the common prefix that contains it. */
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
