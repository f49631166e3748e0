/**
 * Tests whether `link(2)` gives a name to exactly one of many writers. Local filesystems do; a network filesystem may not
 * support links at all. The size of the files does not matter, because a link transfers no bytes.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PutOutcome, StoreFindings } from '#cache/core/store-verdict.ts';
import { isErrno, linkExclusive, remove, writeTemporary } from './exclusive-file.ts';

const WRITERS = 16;
const BODY_BYTES = 1_000;

/** Removes every file that it creates. */
export async function probeLinks(root: string, name: string, signal: AbortSignal): Promise<StoreFindings> {
  const path = join(root, name);
  const first = `${path}.first`;
  const bodies = Array.from({ length: WRITERS }, () => randomBytes(BODY_BYTES));
  const temporary: string[] = [];
  try {
    for (const body of bodies) temporary.push(await writeTemporary(root, [body], signal));
    const [one = '', other = ''] = temporary;
    const alone = await offer(one, first);
    const second = await offer(other, first);
    const outcomes = await Promise.all(temporary.map((from) => offer(from, path)));
    const found = outcomes.includes('won') ? await readFile(path) : Buffer.alloc(0);
    const at = bodies.findIndex((body) => body.equals(found));
    const storedWriter = at < 0 ? undefined : at;
    return { first: alone, second, race: { outcomes, storedWriter }, problems: [], versioned: false };
  } finally {
    await Promise.all([path, first, ...temporary].map(remove));
  }
}

async function offer(temporary: string, path: string): Promise<PutOutcome> {
  try {
    return (await linkExclusive(temporary, path)) ? 'won' : 'taken';
  } catch (error) {
    if (isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) return 'unsupported';
    throw error;
  }
}
