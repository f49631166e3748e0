/** What the lists of object stores have in common: strict numbers and dates, and errors that name the list. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { MAX_STORE_NAMES, type StoredEntry, type StoredPage } from '#cache/engine/ports.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { XmlError } from '#cache/wire/xml.ts';
import type { ListedPage } from './object-wire.ts';

/** A page of 1000 names is about 400 KB; with names and owners of the maximum length 5 MB. */
export const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** A page from a large bucket may take seconds, and no client waits for it. */
export const LIST_FIRST_BYTE_TIMEOUT_MS = 10_000;

/** Parses the page in a response; what cannot be read completely is an error, never a shorter list. */
export function readPage(
  response: RawResponse,
  { prefix, cursor }: ListedPage,
  parse: (xml: string) => StoredPage,
): StoredPage {
  const wrong = (what: string, cause?: unknown): OrcaError =>
    new OrcaError('store_unavailable', `the store's list of ${prefix} cannot be used: ${what}`, { cause });
  const { headers, body } = response;
  if (!('content-length' in headers) && !('transfer-encoding' in headers)) throw wrong('its length is unknown');
  if (body.length >= MAX_PAGE_BYTES) throw wrong(`a page has ${MAX_PAGE_BYTES} bytes or more`);
  let page: StoredPage;
  try {
    page = parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof XmlError) throw wrong(error.message, error);
    throw error;
  }
  if (page.entries.length > MAX_STORE_NAMES) throw wrong(`a page has ${page.entries.length} names`);
  // A store that ignores the prefix would attribute all its names to each shard.
  if (page.entries.some(({ name }) => !name.startsWith(prefix))) throw wrong('it contains names with another prefix');
  if (page.cursor !== undefined && page.cursor === cursor) throw wrong('it does not advance');
  return page;
}

export function listedEntry(name: string, size: string, modified: string): StoredEntry {
  const sizeBytes = /^\d{1,15}$/.test(size) ? Number(size) : Number.NaN;
  const modifiedMs = Date.parse(modified);
  // Without its time a chunk would look old, and be removed too early.
  if (Number.isNaN(sizeBytes) || Number.isNaN(modifiedMs)) throw new XmlError('a name without its size or its time');
  return { name, sizeBytes, modifiedMs };
}
