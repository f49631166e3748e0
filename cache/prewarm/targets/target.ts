/** The keys of one target of a prewarm, in an order that a later call can continue. */

export interface ListedKey {
  readonly key: string;
  /** Undefined until the object is resolved. */
  readonly sizeBytes: number | undefined;
  /** Where to continue after this key: any text, which only the target reads. */
  readonly after: string;
}

export interface KeyPage {
  /** At most MAX_PAGE_KEYS. */
  readonly keys: readonly ListedKey[];
  /** Where to continue after the page, which may have had further keys that are not warmed. */
  readonly after: string;
}

/** S3's page. The walker is never further ahead. */
export const MAX_PAGE_KEYS = 1000;

export interface Target {
  /** The client's name. */
  readonly bucket: string;
  /** In messages. */
  readonly title: string;
  /** `after`: a position of an earlier call, or '' for the start. Rejects with the codes of a read or a list. */
  pages(after: string, signal: AbortSignal): AsyncGenerator<KeyPage, void, void>;
}
