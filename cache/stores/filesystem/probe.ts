/**
 * Tests whether `link(2)` gives a name to exactly one of many writers. Local filesystems do; a network filesystem may not
 * support links at all. The size of the files does not matter, because a link transfers no bytes.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { PutOutcome, StoreFindings } from '#cache/core/store-verdict.ts';
import { cleanUp, isErrno, linkExclusive, remove, writeTemporary } from './exclusive-file.ts';
import type { FileCall, Files } from './files.ts';

const WRITERS = 16;
const BODY_BYTES = 1_000;

/** Removes every file that it creates. */
export async function probeLinks(files: Files, root: string, name: string, call: FileCall): Promise<StoreFindings> {
  const path = join(root, name);
  const first = `${path}.first`;
  const bodies = Array.from({ length: WRITERS }, () => randomBytes(BODY_BYTES));
  const temporary: string[] = [];
  const offer = (from: string, to: string) => offerLink(files, from, to, call);
  try {
    for (const body of bodies) temporary.push(await writeTemporary(files, root, [body], call));
    const [one = '', other = ''] = temporary;
    const alone = await offer(one, first);
    const second = await offer(other, first);
    const outcomes = await Promise.all(temporary.map((from) => offer(from, path)));
    const found = outcomes.includes('won') ? await files.readFile(path, BODY_BYTES, call) : Buffer.alloc(0);
    const at = bodies.findIndex((body) => body.equals(found));
    const storedWriter = at < 0 ? undefined : at;
    await Promise.all([path, first, ...temporary].map((file) => remove(files, file, call)));
    return { first: alone, second, race: { outcomes, storedWriter }, problems: [], versioned: false };
  } catch (error) {
    await Promise.all([path, first, ...temporary].map((file) => cleanUp(files, file, error)));
    throw error;
  }
}

async function offerLink(files: Files, temporary: string, path: string, call: FileCall): Promise<PutOutcome> {
  try {
    return (await linkExclusive(files, temporary, path, call)) ? 'won' : 'taken';
  } catch (error) {
    if (isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) return 'unsupported';
    throw error;
  }
}
