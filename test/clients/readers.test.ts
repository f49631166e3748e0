/** Libraries and tools that nobody here has written, unmodified: each lists the tree, reads it whole and in parts. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUCKET } from '#test/support/replicas.ts';
import { findProgram, runProgram } from './programs.ts';
import { expectedRanges, RANGES, sha256 } from './tree.ts';
import { filesIn, KEY, KEYS, startWorld, WHOLE, type World } from './world.ts';

const PYTHON = join(import.meta.dirname, 'python');
/** The Python that the packages were installed for. */
const python = findProgram('orca-clients-python');

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

function job(more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ endpoint: world.endpoint, bucket: BUCKET, ...KEY, keys: KEYS, ranges: RANGES, ...more });
}

describe('Python', () => {
  test.runIf(python !== undefined).for(['boto3', 's3fs', 'pyarrow'])('%s', async (library) => {
    const script = join(PYTHON, `${library}_reader.py`);
    const output = execFileSync(python ?? '', [script], { input: job(), timeout: 120_000, maxBuffer: 1 << 26 });
    const read = JSON.parse(output.toString()) as unknown;
    expect(read).toEqual({ listed: KEYS, sha256: WHOLE, ranges: expectedRanges() });
  });

  test.runIf(python !== undefined).for(['polars', 'duckdb'])(
    '%s reads columns of a table',
    async (library, { skip }) => {
      const table = execFileSync(python ?? '', [join(PYTHON, 'make_table.py')], { maxBuffer: 1 << 26 });
      await world.cache.put('tables/table.parquet', table);
      let output: Buffer;
      try {
        output = execFileSync(python ?? '', [join(PYTHON, 'tables_reader.py'), library], {
          input: job({ table: 'tables/table.parquet' }),
          timeout: 120_000,
          stdio: ['pipe', 'pipe', 'pipe'],
        });
      } catch (error) {
        const said = String((error as { stderr?: Buffer }).stderr ?? '');
        // Its S3 support is an extension from a server of its own.
        if (library === 'duckdb' && /Failed to download extension|INSTALL httpfs/.test(said))
          skip('duckdb could not load its S3 support here');
        throw new Error(said.slice(-2_000), { cause: error });
      } finally {
        await world.cache.remove('tables/table.parquet');
      }
      const wanted = Array.from({ length: 200_000 }, (_, row) => row).filter((row) => row % 7 === 3);
      expect(JSON.parse(output.toString())).toEqual({ total: wanted.reduce((sum, row) => sum + row, 0) });
    },
  );

  test.runIf(python !== undefined)('s3cmd', async () => {
    const { host } = new URL(world.endpoint);
    const options = ['-m', 'S3.s3cmd_main'];
    const root = join(world.directory, 's3cmd');
    const s3cmd = (...parameters: string[]) =>
      runProgram(python ?? '', [
        ...(findProgram('orca-clients-s3cmd') === undefined ? options : [findProgram('orca-clients-s3cmd') ?? '']),
        '--config=/dev/null',
        `--access_key=${KEY.accessKeyId}`,
        `--secret_key=${KEY.secretAccessKey}`,
        `--host=${host}`,
        `--host-bucket=${host}`,
        '--no-ssl',
        '--no-progress',
        ...parameters,
      ]);
    const listed = (await s3cmd('ls', '--recursive', `s3://${BUCKET}/`)).stdout.toString().trimEnd().split('\n');
    expect(listed.map((line) => line.slice(line.indexOf(`s3://${BUCKET}/`) + BUCKET.length + 6)).toSorted()).toEqual(
      KEYS,
    );
    await s3cmd('sync', `s3://${BUCKET}/`, `${root}/`);
    expect(await filesIn(root)).toEqual(WHOLE);
  });
});

describe('rclone', () => {
  const program = findProgram('rclone');
  const rclone = (...parameters: string[]) =>
    runProgram(program ?? '', parameters, {
      env: {
        RCLONE_CONFIG: '/dev/null',
        RCLONE_CONFIG_CACHE_TYPE: 's3',
        RCLONE_CONFIG_CACHE_PROVIDER: 'Other',
        RCLONE_CONFIG_CACHE_ENDPOINT: world.endpoint,
        RCLONE_CONFIG_CACHE_ACCESS_KEY_ID: KEY.accessKeyId,
        RCLONE_CONFIG_CACHE_SECRET_ACCESS_KEY: KEY.secretAccessKey,
      },
    });

  test.runIf(program !== undefined)('lsf, copy, check, cat', async () => {
    const listed = (await rclone('lsf', '--recursive', '--files-only', `cache:${BUCKET}`)).stdout.toString();
    expect(listed.trimEnd().split('\n').toSorted()).toEqual(KEYS);
    const root = join(world.directory, 'rclone');
    await rclone('copy', `cache:${BUCKET}`, root);
    expect(await filesIn(root)).toEqual(WHOLE);
    await rclone('check', '--download', `cache:${BUCKET}`, root);
    const hashes: string[] = [];
    for (const [key, from, to] of RANGES)
      hashes.push(
        sha256(
          (await rclone('cat', '--offset', `${from}`, '--count', `${to - from}`, `cache:${BUCKET}/${key}`)).stdout,
        ),
      );
    expect(hashes).toEqual(expectedRanges());
  });
});
