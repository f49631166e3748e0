/** The sample files: a few sizes and kinds, so that lists, small reads and large reads can be tried. */
import { etagOf } from '#hack/demo-support/synthetic-bytes.ts';
import { compareKeys, type ObjectEntry } from '#cache/core/s3/listing.ts';

export const SAMPLE_BUCKET = 'sample';

export interface SampleObject extends ObjectEntry {
  /** Undefined: bytes that the ETag determines. */
  readonly text: string | undefined;
}

const MIB = 1024 * 1024;
/** A constant time in the past. */
const MODIFIED_MS = Date.UTC(2026, 0, 1);

const TEXTS: Readonly<Record<string, string>> = {
  'hello.txt': 'Hello from the origin. The second time, this comes from the cache.\n',
  'models/tiny-llm/config.json': `${JSON.stringify({ model_type: 'tiny', hidden_size: 64, num_hidden_layers: 2 }, null, 2)}\n`,
};
const SIZES: Readonly<Record<string, number>> = {
  'models/tiny-llm/model-00001-of-00002.safetensors': 96 * MIB,
  'models/tiny-llm/model-00002-of-00002.safetensors': 64 * MIB,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, part) => [`data/part-0000${part}.bin`, 12 * MIB])),
};

/** In the order of a list. */
export const SAMPLE_OBJECTS: readonly SampleObject[] = [
  ...Object.entries(TEXTS).map(([key, text]) => sample(key, Buffer.byteLength(text), text)),
  ...Object.entries(SIZES).map(([key, sizeBytes]) => sample(key, sizeBytes, undefined)),
].toSorted((a, b) => compareKeys(a.key, b.key));

function sample(key: string, sizeBytes: number, text: string | undefined): SampleObject {
  const etag = etagOf(SAMPLE_BUCKET, key);
  return { key, etag, sizeBytes, text, lastModifiedMs: MODIFIED_MS, storageClass: 'STANDARD' };
}
