/** Splits the byte stream of a watch into lines, each a JSON document of limited size. */
import { KubeError } from './error.ts';

const NEWLINE = 0x0a;

/** A last line without a newline is incomplete and dropped: the next watch starts after the last complete one. */
export async function* watchFrames(chunks: AsyncIterable<Buffer>, maxFrameBytes: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, end));
      const line = Buffer.concat(parts).toString('utf8').trim();
      parts = [];
      sizeBytes = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      sizeBytes += chunk.length - from;
      if (sizeBytes > maxFrameBytes)
        throw new KubeError(0, 'Malformed', `a watch frame exceeds ${maxFrameBytes} bytes`);
    }
  }
}
