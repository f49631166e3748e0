/** Writes streams to files, with their size and SHA-256. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

export interface Written {
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Compressed extends Written {
  /** SHA-256 of the bytes before compression. */
  readonly plainSha256: string;
}

export async function writeStream(source: AsyncIterable<Buffer>, file: string): Promise<Written> {
  const meter = meterOf();
  await pipeline(source, meter.pass, createWriteStream(file));
  return meter.result();
}

/** GNU gzip, because the output of Node's zlib depends on the processor. `-n`: no name, no time. */
export async function writeGzip(source: AsyncIterable<Buffer>, file: string): Promise<Compressed> {
  const gzip = spawn('gzip', ['-n', '-6'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [plain, packed] = [meterOf(), meterOf()];
  const [[code]] = await Promise.all([
    once(gzip, 'close') as Promise<[number | null]>,
    pipeline(source, plain.pass, gzip.stdin),
    pipeline(gzip.stdout, packed.pass, createWriteStream(file)),
  ]);
  if (code !== 0) throw new Error(`gzip ended with exit code ${code} while writing ${file}`);
  return { ...packed.result(), plainSha256: plain.result().sha256 };
}

export async function sha256OfFile(file: string): Promise<Written> {
  const meter = meterOf();
  for await (const part of meter.pass(createReadStream(file) as AsyncIterable<Buffer>)) void part;
  return meter.result();
}

function meterOf() {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    pass: async function* (this: void, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const part of source) {
        hash.update(part);
        sizeBytes += part.length;
        yield part;
      }
    },
    result: (): Written => ({ sha256: hash.digest('hex'), sizeBytes }),
  };
}
