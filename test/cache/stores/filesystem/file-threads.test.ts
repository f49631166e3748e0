/** File operations that never return: their calls end, their memory is kept, and other files stay usable. */
import { lookup } from 'node:dns/promises';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileThreads, MAX_HUNG } from '#cache/stores/filesystem/file-threads.ts';
import { Files, type FileCall, type OpenFile } from '#cache/stores/filesystem/files.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { makeFifo, type Fifo } from '#test/support/fifo.ts';
import { isPending } from '#test/support/engine-checks.ts';
import { until } from '#test/support/until.ts';

const LIMIT_MS = 5_000;
const { signal } = new AbortController();
const CALL: FileCall = { signal, limitMs: LIMIT_MS };
const WHOLE = { beyondBytes: Infinity, tailBytes: 0 };
/** `read(2)` at the current offset: a named pipe has no other. */
const NO_POSITION = -1;

let root: string;
let clock: FakeClock;
let threads: FileThreads;
let files: Files;
let pipes: Fifo[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'orca-files-'));
  clock = fakeClock();
  threads = new FileThreads(clock);
  files = new Files(threads);
  pipes = [];
  writeFileSync(join(root, 'good'), 'good');
  // From here on a thread is there, and starts what it is given at once.
  await files.stat(root, CALL);
});

afterEach(async () => {
  for (const fifo of pipes) fifo[Symbol.dispose]();
  await until(() => threads.hung.count === 0, 'all operations have returned');
  await threads.close();
  rmSync(root, { recursive: true, force: true });
});

const fifo = (name: string): Fifo => {
  const made = makeFifo(join(root, name));
  pipes.push(made);
  return made;
};
const good = () => files.readFile(join(root, 'good'), 100, CALL);

/** An open call whose operation hangs, past its limit. */
async function hang(name: string): Promise<Fifo> {
  const made = fifo(name);
  // The next thread is there when it has done something.
  await good();
  const opening = files.open(made.path, WHOLE, CALL);
  opening.catch(() => {});
  await clock.advance(LIMIT_MS);
  await expect(opening).rejects.toMatchObject({ code: 'store_unavailable' });
  return made;
}

/** Opens a named pipe from which nothing can be read yet. */
async function openEmpty(name: string): Promise<{ readonly fifo: Fifo; readonly file: OpenFile }> {
  const made = fifo(name);
  made.release();
  const { file } = await files.open(made.path, WHOLE, CALL);
  return { fifo: made, file };
}

function sharedMemory(): { readonly bytes: Buffer; readonly kept: () => number; readonly keep: () => () => void } {
  let kept = 0;
  return {
    bytes: Buffer.from(new SharedArrayBuffer(8 * 1024 * 1024), 4096, 1024),
    kept: () => kept,
    keep: () => {
      kept++;
      return () => kept--;
    },
  };
}

test('a call ends at its limit although its operation has not returned', async () => {
  const opening = files.open(fifo('a').path, WHOLE, CALL);
  opening.catch(() => {});
  await clock.advance(LIMIT_MS - 1);
  expect(await isPending(opening)).toBe(true);
  await clock.advance(1);
  await expect(opening).rejects.toThrow(/does not respond: open of .*a has not returned within 5000 ms/);
  expect(threads.hung.count).toBe(1);
  await clock.advance(1_000);
  expect(threads.hung.longestMs).toBe(LIMIT_MS + 1_000);
});

test('a call ends at once by its signal, and its operation counts as hung after its limit', async () => {
  const aborter = new AbortController();
  const opening = files.open(fifo('a').path, WHOLE, { signal: aborter.signal, limitMs: LIMIT_MS });
  aborter.abort();
  await expect(opening).rejects.toMatchObject({ code: 'cancelled' });
  expect(threads.hung.count).toBe(0);
  await clock.advance(LIMIT_MS);
  expect(threads.hung.count).toBe(1);
});

test('while one file hangs, other files are read, and further calls for it fail at once', async () => {
  const hung = await hang('a');
  await expect(files.open(hung.path, WHOLE, CALL)).rejects.toThrow(/an operation on .*a has not returned/);
  expect(Buffer.from(await good()).toString()).toBe('good');
});

test('threads that hang are replaced: as many as before work', async () => {
  for (let index = 0; index < MAX_HUNG - 1; index++) await hang(`fifo-${index}`);
  for (const name of ['slow-1', 'slow-2', 'slow-3']) {
    await good();
    files.open(fifo(name).path, WHOLE, CALL).catch(() => {});
  }
  expect(Buffer.from(await good()).toString()).toBe('good');
});

test('with the most hung threads every call fails at once, and Node’s own thread pool is free', async () => {
  for (let index = 0; index < MAX_HUNG; index++) await hang(`fifo-${index}`);
  expect(threads.hung.count).toBe(MAX_HUNG);
  await expect(good()).rejects.toMatchObject({ code: 'store_unavailable' });
  expect((await readFile(join(root, 'good'))).toString()).toBe('good');
  expect((await lookup('localhost')).address).toBeTruthy();
});

test('calls that wait for a thread fail when the last one hangs', async () => {
  for (let index = 0; index < MAX_HUNG - 1; index++) await hang(`fifo-${index}`);
  await good();
  const last = files.open(fifo('last').path, WHOLE, CALL);
  last.catch(() => {});
  const others = fifo('others');
  let failed = 0;
  for (let index = 0; index < 12; index++)
    files.open(others.path, WHOLE, { signal, limitMs: 10 * LIMIT_MS }).catch(() => failed++);
  await clock.advance(LIMIT_MS);
  await expect(last).rejects.toMatchObject({ code: 'store_unavailable' });
  // Further threads may have started meanwhile: at most as many as may work at a time.
  expect(failed).toBeGreaterThanOrEqual(8);
});

test('when hung operations return, their threads work again, and what they opened is closed', async () => {
  const hung = [];
  for (let index = 0; index < MAX_HUNG; index++) hung.push(await hang(`fifo-${index}`));
  for (const pipe of hung) pipe.release();
  await until(() => threads.hung.count === 0, 'all have returned');
  expect(Buffer.from(await good()).toString()).toBe('good');
  // One of each pipe is the test's own.
  await until(() => openFiles(join(root, 'fifo-')) === MAX_HUNG, 'the files are closed');
});

test('memory of a read that hangs is kept until the read returns, and is written until then', async () => {
  const { fifo, file } = await openEmpty('a');
  const { bytes, kept, keep } = sharedMemory();
  const reading = file.read(bytes, NO_POSITION, CALL, keep);
  reading.catch(() => {});
  expect(kept()).toBe(0);
  await clock.advance(LIMIT_MS);
  await expect(reading).rejects.toMatchObject({ code: 'store_unavailable' });
  expect([kept(), threads.hung.lentBytes]).toEqual([1, bytes.length]);
  file.close();
  fifo.release('late');
  await until(() => kept() === 0, 'the read has returned');
  expect(bytes.subarray(0, 4).toString()).toBe('late');
  expect(threads.hung).toMatchObject({ count: 0, lentBytes: 0 });
});

test('memory of a read that is aborted is kept from the moment its call ends', async () => {
  const { fifo, file } = await openEmpty('a');
  const { bytes, kept, keep } = sharedMemory();
  const aborter = new AbortController();
  const reading = file.read(bytes, NO_POSITION, { signal: aborter.signal, limitMs: LIMIT_MS }, keep);
  aborter.abort();
  expect(kept()).toBe(1);
  await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  fifo.release('late');
  await until(() => kept() === 0, 'the read has returned');
  file.close();
});

test('memory that is not kept is not written after the call has ended', async () => {
  const { fifo, file } = await openEmpty('a');
  const { bytes } = sharedMemory();
  const reading = file.read(bytes, NO_POSITION, CALL);
  reading.catch(() => {});
  await clock.advance(LIMIT_MS);
  fifo.release('late');
  await until(() => threads.hung.count === 0, 'the read has returned');
  expect(bytes.subarray(0, 4)).toEqual(Buffer.alloc(4));
  file.close();
});

test('a file is not closed while an operation uses it: its number could be another file’s', async () => {
  const { fifo, file } = await openEmpty('a');
  const { bytes, keep } = sharedMemory();
  const aborter = new AbortController();
  const reading = file.read(bytes, NO_POSITION, { signal: aborter.signal, limitMs: LIMIT_MS }, keep);
  aborter.abort();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  file.close();
  await good();
  // One of them is the test's own.
  expect(openFiles(fifo.path)).toBe(2);
  fifo.release('late');
  await until(() => openFiles(fifo.path) === 2, 'the file is closed; the test has opened another one');
});

test('reads and writes of memory that is not shared, of any length', async () => {
  const body = Buffer.alloc(300_000, 'abcdefg');
  const path = join(root, 'long');
  const file = await files.create(path, CALL);
  for (let done = 0; done < body.length;) done += await file.write(body.subarray(done), CALL);
  await file.sync(CALL);
  file.close();
  const { file: again, sizeBytes, tail } = await files.open(path, { beyondBytes: 0, tailBytes: 100 }, CALL);
  expect([sizeBytes, Buffer.from(tail).equals(body.subarray(-100))]).toEqual([body.length, true]);
  const got = Buffer.alloc(body.length);
  for (let done = 0; done < got.length;) done += await again.read(got.subarray(done), done, CALL);
  again.close();
  expect(got.equals(body)).toBe(true);
});

test('a write gets a thread while reads keep coming, and so do the files that they close', async () => {
  let reads = 0;
  let readsBefore: number | undefined;
  const readAll = async () => {
    for (let index = 0; index < 20; index++) {
      const { file } = await files.open(join(root, 'good'), WHOLE, CALL);
      file.close();
      reads++;
    }
  };
  const reading = Array.from({ length: 30 }, () => readAll());
  const file = await files.create(join(root, 'new'), CALL);
  readsBefore = reads;
  await Promise.all(reading);
  expect(readsBefore).toBeLessThan(30);
  file.close();
  await until(() => openFiles(root) === 0, 'all files are closed');
});

test('errors of the system keep their code', async () => {
  await expect(files.open(join(root, 'none'), WHOLE, CALL)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(files.create(join(root, 'good'), CALL)).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(files.readFile(join(root, 'good'), 3, CALL)).rejects.toThrow(/4 bytes/);
});

test('after close every call fails, also those that wait', async () => {
  const waiting = Array.from({ length: 20 }, () => good());
  const settled = Promise.allSettled(waiting);
  await threads.close();
  expect((await settled).some(({ status }) => status === 'rejected')).toBe(true);
  await expect(good()).rejects.toMatchObject({ code: 'store_unavailable' });
});

/** How many files of this process have `text` in their path. */
function openFiles(text: string): number {
  const isOpen = (fd: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes(text);
    } catch {
      // That of the listing itself.
      return false;
    }
  };
  return readdirSync('/proc/self/fd').filter(isOpen).length;
}
