import { expect, test } from 'vitest';
import { turns } from '#test/support/engine-checks.ts';
import { MIB, readAll, readRequest } from '#test/support/engines.ts';
import {
  BLOCK,
  CHUNK,
  expectAllEvictable,
  expectRead,
  idle,
  KIB,
  openSparse,
  total,
} from '#test/support/sparse-engines.ts';

test.for([0, 64, 3 * 1024])(
  'a fill reuses the blocks in memory at the end of a chunk and at KiB %i, where that saves bytes',
  async (atKib) => {
    const engines = openSparse({ sizeBytes: CHUNK + MIB + 5 });
    const [replica] = engines.replicas;
    await expectRead(engines, replica!, CHUNK - 4 * KIB);
    await expectRead(engines, replica!, atKib * KIB);
    await expectRead(engines, replica!, CHUNK + MIB + 5 - 4 * KIB);
    const sparseBytes = engines.origin.counts.bytes;
    const { bytes } = await readAll(replica!.engine, readRequest('a'));
    expect(bytes.equals(engines.body)).toBe(true);
    await idle(engines);
    // A block in the middle of a part is fetched again: leaving it out would cost one more request.
    const again = atKib === 0 ? 0 : BLOCK;
    expect(engines.origin.counts.bytes).toBe(engines.body.length + again);
    expect(total(engines, 'sparseBytes', 'reused')).toBe(sparseBytes - again);
    await expectAllEvictable(engines);
  },
);

test('a fill waits for blocks that are still in flight, and fetches only the remaining blocks', async () => {
  const engines = openSparse();
  const [replica] = engines.replicas;
  engines.origin.readGate.hold();
  const sparse = expectRead(engines, replica!, 0);
  await engines.origin.readGate.reached();
  const whole = readAll(replica!.engine, readRequest('a', { range: `bytes=0-${CHUNK - 1}` }));
  await turns(20);
  engines.origin.readGate.release();
  await sparse;
  expect((await whole).bytes.equals(engines.body.subarray(0, CHUNK))).toBe(true);
  await idle(engines);
  expect(engines.origin.reads.map(({ range }) => range)).toEqual([
    { from: 0, to: BLOCK },
    { from: BLOCK, to: CHUNK },
  ]);
  expect(total(engines, 'sparseBytes', 'reused')).toBe(BLOCK);
  await expectAllEvictable(engines);
});
