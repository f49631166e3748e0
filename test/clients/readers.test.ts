/** Unmodified third-party libraries and tools: each lists the tree, and reads it whole and in ranges. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AZURITE_HOOK_MS } from '#test/support/azurite.ts';
import { MODEL_BYTES } from '#test/support/try-process.ts';
import { awsCli, readWithAwsCli } from './aws-cli.ts';
import { programOr, runProgram } from './programs.ts';
import { EXPECTED } from './reading.ts';
import { readWithRclone } from './rclone.ts';
import { readWithS3cmd } from './s3cmd.ts';
import { readWithScript, runScript } from './scripts.ts';
import { runTryCommand } from './try-commands.ts';
import { worldFor } from './world.ts';

/** The interpreters that the packages are installed for. */
const PYTHON = 'orca-clients-python';
const NODE = 'orca-clients-node';
const TABLE = 'tables/table.parquet';

const WORLDS = [
  { title: 'with an S3 origin', origin: 'S3', tls: false },
  { title: 'over TLS, with a private CA', origin: 'S3', tls: true },
  { title: 'with an Azure origin', origin: 'AzureBlob', tls: false },
] as const;

describe.for(WORLDS)('$title', ({ origin, tls }) => {
  const world = worldFor({ origin, tls }, AZURITE_HOOK_MS);

  // The Python package of the AWS Common Runtime does not accept a private CA.
  test.for(['boto3', 's3fs', 'pyarrow', ...(tls ? [] : ['crt'])])('%s', async (library, { skip }) => {
    const python = programOr(skip, PYTHON, 'readers');
    expect(await readWithScript(world(), python, `python/${library}_reader.py`)).toEqual(EXPECTED);
  });

  test('s3cmd', async ({ skip }) => {
    const { listed, whole } = EXPECTED;
    expect(await readWithS3cmd(world(), programOr(skip, 's3cmd', 'readers'))).toEqual({ listed, whole });
  });

  test('rclone lsf, copy, check, cat', async ({ skip }) => {
    expect(await readWithRclone(world(), programOr(skip, 'rclone', 'readers'))).toEqual(EXPECTED);
  });

  test('minio', async ({ skip }) => {
    expect(await readWithScript(world(), programOr(skip, NODE, 'readers'), 'node/minio-reader.ts')).toEqual(EXPECTED);
  });

  // common.test.ts covers it without TLS and with Azure.
  test.for(tls ? ['aws s3 ls, s3 sync, s3api'] : [])('%s', async (_name, { skip }) => {
    const aws = awsCli(world(), programOr(skip, 'aws', 'clients'));
    expect(await readWithAwsCli(world(), aws)).toEqual(EXPECTED);
  });

  test.for(['polars', 'duckdb'])('%s reads columns of a parquet file', async (library, { skip }) => {
    const python = programOr(skip, PYTHON, 'readers');
    await world().put(TABLE, await runProgram(python, [join(import.meta.dirname, 'python', 'make_table.py')]));
    const rows = Array.from({ length: 200_000 }, (_, row) => row).filter((row) => row % 7 === 3);
    const total = rows.reduce((sum, row) => sum + row, 0);
    const script = ['python/tables_reader.py', library] as const;
    expect(await runScript(world(), python, script, { table: TABLE })).toEqual({ total });
  });
});

test('the Python command that hack/try prints', async ({ skip }) => {
  expect(await runTryCommand('python3', programOr(skip, PYTHON, 'readers'))).toBe(`${MODEL_BYTES} bytes`);
});
