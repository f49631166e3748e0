/**
 * Lists and removals in a file system. Both run one operation at a time, in short steps: commits use the same few threads,
 * and go first.
 */
import { join } from 'node:path';
import { OrcaError } from '#cache/core/errors.ts';
import {
  MAX_STORE_NAMES,
  type CallOptions,
  type Removal,
  type StoredEntry,
  type StoredPage,
} from '#cache/engine/ports.ts';
import { untilAborted } from '#cache/wire/bounded.ts';
import type { Clock } from '#shared/clock.ts';
import { DirectoryNames } from './directory-names.ts';
import { isErrno, sweepTemporary } from './exclusive-file.ts';
import type { FileResults } from './file-request.ts';
import type { FileCall, Files } from './files.ts';

/** A file server takes seconds for a directory of a million names. */
const READ_DIRECTORY_LIMIT_MS = 60_000;
const STEP_LIMIT_MS = 30_000;
/** It occupies one of the two threads that write; commits have the other one meanwhile. */
const STEP_BUDGET_MS = 250;
/** A page that takes longer is returned as it is: callers have deadlines. */
const PAGE_BUDGET_MS = 5_000;
/** Deleting a chunk takes some milliseconds. */
const REMOVED_AT_ONCE = 50;
/** The request has 64 KiB, 64 bytes a version. */
const SCANNED_AT_ONCE = 400;
const MAX_REQUEST_CHARS = 30_000;
/** 8 MiB of hashes. A directory of more names is read several times a round. */
const MAX_NAMES = 256 * 1024;
/** Two of them at most are large: versions of the origin, and manifests. */
const MAX_DIRECTORIES = 16;
const MAX_KEPT_NAMES = 2 * MAX_NAMES;
/**
 * Directories that may have a name for each object of the origin: versions, manifests and lists. Their readings are reused,
 * because nothing depends on the newest names.
 */
const LARGE = /^(?!_orca\/)|^_orca\/(?:manifests|lists)\//;
/** Empty directories of versions, and temporary files, are left by processes that ended. */
const LEFT_OVER_MS = 60 * 60_000;

/** Where a list continues: `<name>`, or `<name>/<file>` in the middle of a directory. */
interface Position {
  readonly name: string;
  /** Empty = after the whole of `name`. */
  readonly after: string;
}

export class StoredNames {
  readonly #files: Files;
  readonly #root: string;
  readonly #clock: Clock;
  /** By last use, the latest last. */
  #directories: DirectoryNames[] = [];
  /** What is written while a directory is being read. */
  readonly #written = new Set<string[]>();
  #sweptMs = -Infinity;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(files: Files, root: string, clock: Clock) {
    this.#files = files;
    this.#root = root;
    this.#clock = clock;
  }

  async list(prefix: string, cursor: string | undefined, call: CallOptions): Promise<StoredPage> {
    const slash = prefix.lastIndexOf('/');
    const directory = prefix.slice(0, slash);
    const stem = prefix.slice(slash + 1);
    const entries: StoredEntry[] = [];
    const endMs = this.#clock.now() + PAGE_BUDGET_MS;
    let at = positionOf(cursor);
    // Further pages continue with what the first one has read.
    if (at === undefined && !LARGE.test(directory))
      this.#directories = this.#directories.filter(({ path }) => path !== directory);
    while (entries.length < MAX_STORE_NAMES && (entries.length === 0 || this.#clock.now() < endMs)) {
      const step = await this.#step(directory, stem, at, MAX_STORE_NAMES - entries.length, call);
      entries.push(...step.entries);
      if (step.next === undefined) return { entries, cursor: undefined };
      at = step.next;
      // Directories without files: the caller may end the list, or continue it.
      if (this.#clock.now() >= endMs) break;
    }
    return { entries, cursor: at === undefined ? undefined : cursorOf(at) };
  }

  async remove(names: readonly string[], call: CallOptions): Promise<Removal> {
    const failed: { readonly name: string; readonly error: OrcaError }[] = [];
    for (let at = 0; at < names.length;) {
      const batch = fitting(names.slice(at, at + REMOVED_AT_ONCE));
      const failures = await this.#inTurn(call, (limits) => this.#files.removeAll(this.#root, batch, limits));
      for (const { index, message, code } of failures) {
        const name = batch[index]!;
        failed.push({
          name,
          error: refusal(`the store cannot remove ${name}`, Object.assign(new Error(message), { code })),
        });
      }
      at += batch.length;
    }
    return { removed: names.length - failed.length, failed };
  }

  /** A file was written below the root, perhaps in a directory that was read before. */
  wrote(path: string): void {
    for (const written of this.#written) written.push(path);
    this.#directories = this.#directories.filter((directory) => directory.addPath(path));
  }

  /** Some more entries, and where to continue; undefined = there are no more. */
  async #step(
    directory: string,
    stem: string,
    position: Position | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<{ readonly entries: readonly StoredEntry[]; readonly next: Position | undefined }> {
    const from = position?.name ?? stem;
    const known = await this.#read(directory, stem, from, call);
    let names = known.select(stem, from, SCANNED_AT_ONCE);
    // The last position was the end of a directory, or of a file.
    if (position?.after === '' && names[0] === from) names = names.slice(1);
    names = fitting(names);
    const { to } = known;
    if (names.length === 0)
      return { entries: [], next: to === undefined || beyond(to, stem) ? undefined : { name: to, after: START } };

    const after = position !== undefined && names[0] === from && position.after !== START ? position.after : '';
    const scanned = await this.#inTurn(call, (limits) =>
      this.#files.scan(
        {
          op: 'scan',
          path: join(this.#root, directory),
          directories: names,
          after,
          limit,
          budgetMs: STEP_BUDGET_MS,
          emptySinceMs: this.#clock.date() - LEFT_OVER_MS,
        },
        limits,
      ),
    );
    const entries = scanned.names.map((name, index) => ({
      name: `${directory}/${name}`,
      sizeBytes: scanned.sizes[index]!,
      modifiedMs: scanned.modified[index]!,
    }));
    if (scanned.done >= names.length) return { entries, next: { name: names.at(-1)!, after: '' } };
    return { entries, next: { name: names[scanned.done]!, after: scanned.after } };
  }

  /** The names of a directory from `from` on, read again if they are too old. */
  async #read(directory: string, stem: string, from: string, call: CallOptions): Promise<DirectoryNames> {
    const nowMs = this.#clock.now();
    // One version: its directory is known without those of all others.
    if (HASH.test(stem))
      return new DirectoryNames(directory, stem, onlyHash(stem), { startedMs: nowMs, endedMs: nowMs });
    this.#directories = this.#directories.filter((names) => names.isCurrent(nowMs));
    const found = this.#directories.find((names) => names.path === directory && names.covers(from));
    if (found !== undefined) {
      this.#directories = [...this.#directories.filter((names) => names !== found), found];
      return found;
    }
    await this.#sweepTemporary(call);
    const path = join(this.#root, directory);
    const written: string[] = [];
    this.#written.add(written);
    const read = await this.#inTurn(
      call,
      async (limits) => {
        const startedMs = this.#clock.now();
        const names = await this.#files.names(path, from, MAX_NAMES, limits);
        return new DirectoryNames(directory, from, names, { startedMs, endedMs: this.#clock.now() });
      },
      READ_DIRECTORY_LIMIT_MS,
    ).finally(() => this.#written.delete(written));
    for (const file of written) read.addPath(file);
    this.#directories = [...this.#directories.filter((other) => other.path !== directory), read];
    this.#forgetOldest();
    return read;
  }

  #forgetOldest(): void {
    const total = (): number => this.#directories.reduce((sum, { weight }) => sum + weight, 0);
    while (this.#directories.length > MAX_DIRECTORIES || total() > MAX_KEPT_NAMES) this.#directories.shift();
  }

  async #sweepTemporary(call: CallOptions): Promise<void> {
    const nowMs = this.#clock.now();
    if (nowMs - this.#sweptMs < LEFT_OVER_MS) return;
    this.#sweptMs = nowMs;
    try {
      await this.#inTurn(call, (limits) => sweepTemporary(this.#files, this.#root, this.#clock.date(), limits));
    } catch (error) {
      // It does not matter to the list, unless its call has ended.
      if (call.signal.aborted) throw error;
    }
  }

  async #inTurn<T>(call: CallOptions, step: (limits: FileCall) => Promise<T>, limitMs = STEP_LIMIT_MS): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    try {
      await untilAborted(before, call.signal);
      return await step({ signal: call.signal, limitMs });
    } finally {
      resolve();
    }
  }
}

const HASH = /^[0-9a-f]{64}$/;

function onlyHash(name: string): FileResults['names'] {
  return { hashes: Buffer.from(name, 'hex'), others: [], to: undefined };
}

/** Before the first file of a directory, which no file name is. */
const START = '/';

function positionOf(cursor: string | undefined): Position | undefined {
  if (cursor === undefined) return undefined;
  const slash = cursor.indexOf('/');
  return slash < 0 ? { name: cursor, after: '' } : { name: cursor.slice(0, slash), after: cursor.slice(slash + 1) };
}

function cursorOf({ name, after }: Position): string {
  return after === '' ? name : `${name}/${after}`;
}

/** Whether no name from `to` on begins with `stem`. */
function beyond(to: string, stem: string): boolean {
  return to > stem && !to.startsWith(stem);
}

/** As many of the names as a request can have, one at least. */
function fitting(names: readonly string[]): string[] {
  let chars = 0;
  const end = names.findIndex((name, at) => {
    // Each of a name's characters may be escaped.
    chars += 2 * name.length + 3;
    return at > 0 && chars > 2 * MAX_REQUEST_CHARS;
  });
  return names.slice(0, end < 0 ? names.length : end);
}

/** 403 if the process has no permission. */
export function refusal(message: string, cause: unknown): OrcaError {
  const isDenied = isErrno(cause, 'EACCES', 'EPERM', 'EROFS');
  return new OrcaError('store_unavailable', message, { cause, ...(isDenied && { status: 403 }) });
}
