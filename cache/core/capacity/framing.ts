/** The frame of the binary formats: a magic word with the version, the length of a header in JSON, the header, a body. */
import { crc32 } from '#cache/core/crc32.ts';
import { parseFields, type Fields } from './fields.ts';

const WORD_BYTES = 4;
/** The magic word, and the header's length. */
const PREFIX_BYTES = 2 * WORD_BYTES;

export interface Frame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the body begins. */
  readonly bodyAt: number;
}

export interface OpenedFrame {
  readonly header: Fields;
  readonly view: DataView;
  readonly bodyAt: number;
  readonly bodyBytes: number;
}

/** The magic is four ASCII characters, the last of which is the format's version. */
export function frame(magic: string, header: Fields, bodyBytes: number, hasCrc: boolean): Frame {
  const text = Buffer.from(JSON.stringify(header), 'utf8');
  const bodyAt = PREFIX_BYTES + text.length;
  const bytes = Buffer.alloc(bodyAt + bodyBytes + (hasCrc ? WORD_BYTES : 0));
  bytes.write(magic, 0, WORD_BYTES, 'latin1');
  bytes.writeUInt32LE(text.length, WORD_BYTES);
  text.copy(bytes, PREFIX_BYTES);
  return { bytes, view: viewOf(bytes), bodyAt };
}

/** How many bytes a frame has besides its body. */
export function frameBytes(header: Fields): number {
  return PREFIX_BYTES + Buffer.byteLength(JSON.stringify(header));
}

/** Writes the CRC-32 of everything before it to the end. */
export function seal({ bytes, view }: Frame): Uint8Array {
  const crcAt = bytes.length - WORD_BYTES;
  view.setUint32(crcAt, crc32(bytes.subarray(0, crcAt)), true);
  return bytes;
}

/** Undefined for bytes with another magic, a header that is not JSON, or a wrong CRC. */
export function openFrame(magic: string, bytes: Uint8Array, hasCrc: boolean): OpenedFrame | undefined {
  const end = bytes.length - (hasCrc ? WORD_BYTES : 0);
  if (end < PREFIX_BYTES) return undefined;
  const view = viewOf(bytes);
  for (let at = 0; at < WORD_BYTES; at++) if (bytes[at] !== magic.charCodeAt(at)) return undefined;
  const bodyAt = PREFIX_BYTES + view.getUint32(WORD_BYTES, true);
  if (bodyAt > end) return undefined;
  if (hasCrc && crc32(bytes.subarray(0, end)) !== view.getUint32(end, true)) return undefined;
  const header = parseFields(bytes.subarray(PREFIX_BYTES, bodyAt));
  return header === undefined ? undefined : { header, view, bodyAt, bodyBytes: end - bodyAt };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
