/** curl, with its own SigV4 signer. It does not list. */
import { BUCKET } from '#test/support/replicas.ts';
import { runProgram } from './programs.ts';
import { readRanges } from './reading.ts';
import type { World } from './world.ts';

export function rangesWithCurl({ endpoint, key, env }: World, program: string): Promise<string[]> {
  const options = ['--silent', '--show-error', '--fail', '--aws-sigv4', 'aws:amz:us-east-1:s3'];
  const user = ['--user', `${key.accessKeyId}:${key.secretAccessKey}`];
  return readRanges((name, from, to) =>
    runProgram(
      program,
      [
        ...options,
        ...user,
        '--header',
        'x-amz-content-sha256: UNSIGNED-PAYLOAD',
        '--range',
        `${from}-${to - 1}`,
        `${endpoint}/${BUCKET}/${encodeURIComponent(name)}`,
      ],
      { env },
    ),
  );
}
