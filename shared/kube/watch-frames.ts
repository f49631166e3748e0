/** A watch body is one JSON document a line; this cuts the byte stream into those lines and bounds each. */
import { KubeError } from './error.ts';

const NEWLINE = 0x0a;

/** A last line without its newline is a cut frame and is dropped: the next watch starts behind the last whole one. */
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
