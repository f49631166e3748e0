/** Reads the same data with the AWS CLI, as a second, independent client. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Failure } from './failure.ts';
import { readSlice } from './source-files.ts';
import { chunkBytesOf, CLIENT_BUCKET } from './names.ts';
import type { StoredObject } from './objects.ts';
import { run } from './run.ts';

/** Python starts slowly, and the CLI loads thousands of files before its first request. */
const TIMEOUT_MS = 120_000;

/** The environment without the AWS configuration of this machine. */
const PLAIN_ENV: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))),
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
};

export function awsArguments(edge: string): string[] {
  return ['--endpoint-url', edge, '--no-sign-request', '--region', 'us-east-1'];
}

/** Reads each object with `aws s3 cp`, and a range across a chunk boundary with `aws s3api get-object --range`. */
export async function readWithAwsCli(
  aws: string,
  edge: string,
  objects: readonly StoredObject[],
  signal: AbortSignal,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'orcacache-demo-'));
  const file = join(folder, 'object');
  const options = { env: PLAIN_ENV, timeoutMs: TIMEOUT_MS, signal };
  try {
    for (const object of objects) {
      const { key, sizeBytes, sha256 } = object;
      await run(aws, [...awsArguments(edge), 's3', 'cp', '--no-progress', `s3://${CLIENT_BUCKET}/${key}`, file], {
        ...options,
        what: `aws s3 cp of ${key}`,
      });
      const hash = createHash('sha256');
      await pipeline(createReadStream(file), hash);
      if (hash.digest('hex') !== sha256) throw new Failure(`aws s3 cp of ${key}: the bytes differ from the source`);

      const middle = Math.min(chunkBytesOf(sizeBytes), Math.floor(sizeBytes / 2));
      const [from, to] = [Math.max(0, middle - 1000), Math.min(sizeBytes, middle + 1000)];
      await run(
        aws,
        [
          ...awsArguments(edge),
          's3api',
          'get-object',
          '--bucket',
          CLIENT_BUCKET,
          '--key',
          key,
          '--range',
          `bytes=${from}-${to - 1}`,
          file,
        ],
        { ...options, what: `aws s3api get-object --range of ${key}` },
      );
      const [got, source] = [
        await readSlice(file, 0, to - from + 1),
        await readSlice(object.file, object.offset + from, to - from),
      ];
      if (!got.equals(source))
        throw new Failure(`aws s3api get-object --range of ${key}: the bytes differ from the source`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
