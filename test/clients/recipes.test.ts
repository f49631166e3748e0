/** Runs the recipes of the documentation unchanged. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fencedBlock } from '#test/support/fenced-blocks.ts';
import { findTool } from '#test/support/tools.ts';
import { programOr, runProgram } from './programs.ts';
import { worldFor } from './world.ts';

const PAGE = 'docs/guides/recipes.md';
const PYTHON = 'orca-recipes-python';
const ROWS = 200_000;
/** Values that a block names; the others come from the environment. */
const ENDPOINT = 'http://models.ml.svc';
const SAFETENSORS = `import sys, numpy, safetensors.numpy
tensors = {"bias": numpy.zeros(7, "float32"), "weight": numpy.ones((256, 1024), "float32")}
sys.stdout.buffer.write(safetensors.numpy.save(tensors))`;
/** Runs the SQL on stdin; INSTALL would download the extension from a server of DuckDB. */
const DUCKDB = `import glob, os, sys, duckdb, duckdb_extension_httpfs
(httpfs,) = glob.glob(os.path.dirname(duckdb_extension_httpfs.__file__) + "/extensions/*/httpfs.duckdb_extension")
db = duckdb.connect()
db.execute(f"LOAD '{httpfs}'")
print(*db.execute(sys.stdin.read()).fetchone())`;
const CONNECTOR = `import os
from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client
client = MountpointS3Client(region="us-east-1", endpoint=os.environ["AWS_ENDPOINT_URL"], force_path_style=True)
keys = [object.key for page in client.list_objects("models", "train/") for object in page.object_info]
print(keys, sum(len(piece) for key in keys for piece in client.get_object("models", key)))`;

const world = worldFor({ origin: 'S3' });
const sizes = [1_000_000, 5_000_000, 3];

function run(input: string, ...parameters: string[]): Promise<string> {
  const { endpoint, key, directory } = world();
  const python = findTool(PYTHON, 'ORCA_RECIPES_PYTHON') ?? PYTHON;
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: key.accessKeyId,
    AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
    AWS_REGION: 'us-east-1',
    // Hugging Face's libraries ask their hub, and write to the home directory.
    HF_HUB_OFFLINE: '1',
    HF_HOME: join(directory, 'huggingface'),
  };
  return runProgram(python, parameters, { input, env }).then((output) => String(output).trim());
}

/** A block, with the endpoint and the key of this cache. */
function recipe(heading: string, language = 'python'): string {
  const { endpoint, key } = world();
  return fencedBlock(PAGE, heading, language)
    .replaceAll(ENDPOINT, endpoint)
    .replaceAll(new URL(ENDPOINT).host, new URL(endpoint).host)
    .replaceAll("'TRAINING'", `'${key.accessKeyId}'`)
    .replaceAll("'…'", `'${key.secretAccessKey}'`);
}

describe('recipes', () => {
  beforeAll(async () => {
    const python = findTool(PYTHON, 'ORCA_RECIPES_PYTHON');
    // The tests are skipped.
    if (python === undefined) return;
    for (const [index, size] of sizes.entries()) await world().put(`train/${index}.bin`, Buffer.alloc(size, index));
    await world().put('tiny/model.safetensors', await runProgram(python, ['-c', SAFETENSORS]));
    const table = await runProgram(python, [join(import.meta.dirname, 'python', 'make_table.py')]);
    await world().put('tables/table.parquet', table);
  });

  test.beforeEach(({ skip }) => {
    programOr(skip, PYTHON, 'readers');
  });

  const bytes = sizes.reduce((sum, size) => sum + size);

  test.for([
    ['PyTorch with s3fs', `${bytes} bytes in ${sizes.length} objects`],
    ['Hugging Face safetensors', "F32 [7] 28 bytes\n['bias', 'weight']"],
    ['Hugging Face datasets', String((1000 * 999) / 2)],
    ['PyArrow', String(ROWS)],
  ] as const)('%s', async ([heading, expected]) => {
    expect(await run(recipe(heading), '-')).toBe(expected);
  });

  test('DuckDB', async () => {
    expect(await run(recipe('DuckDB', 'sql'), '-c', DUCKDB)).toBe(`${ROWS} ${ROWS - 1}`);
  });

  test('the client of s3torchconnector and Mountpoint', async () => {
    expect(await run('', '-c', CONNECTOR)).toBe(`['train/0.bin', 'train/1.bin', 'train/2.bin'] ${bytes}`);
  });

  test('all headings that are marked as tested are covered', () => {
    const headings = readFileSync(PAGE, 'utf8').match(/^## .*tested\)$/gm) ?? [];
    expect(headings).toHaveLength(5);
  });
});
