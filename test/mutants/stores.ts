import type { Mutant } from './mutants.ts';

const LISTED = 'cache/stores/object/listed.ts';
const LIST_OBJECTS = 'cache/stores/s3/list-objects.ts';
const DELETE_OBJECTS = 'cache/stores/s3/delete-objects.ts';
const THREAD_LISTS = 'cache/stores/filesystem/thread-lists.ts';
const STORED_NAMES = 'cache/stores/filesystem/stored-names.ts';
const STORES = ['azure-blob', 'filesystem', 's3'].map((kind) => `test/cache/stores/${kind}/stored-names.test.ts`);

/** Bugs in the lists and removals of cachestores. */
export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a document that ends early is complete',
    file: 'cache/wire/xml.ts',
    search: "if (root === undefined) throw new XmlError('the document ends early');\n  return root;",
    replace: "return root ?? open[0] ?? { name: '', attributes: '', children: [], text: '' };",
    tests: ['test/cache/wire/xml.test.ts'],
  },
  {
    name: 'any document is a list',
    file: 'cache/wire/xml.ts',
    search: 'if (root.name !== rootName)',
    replace: "if (root.name === '')",
    tests: STORES,
  },
  {
    name: 'a truncated list without a continuation is the last page',
    file: LIST_OBJECTS,
    search: "if (isTruncated !== 'true' || cursor === '')",
    replace: "if (isTruncated !== 'true')",
    tests: STORES,
  },
  {
    name: 'a list that does not report its end is the last page',
    file: LIST_OBJECTS,
    search: "requiredText(root, 'IsTruncated');",
    replace: "textOf(root, 'IsTruncated') ?? 'false';",
    tests: STORES,
  },
  {
    name: 'names of another prefix are listed',
    file: LISTED,
    search: 'if (page.entries.some(({ name }) => !name.startsWith(prefix)))',
    replace: 'if (page.entries.some(({ name }) => !name.startsWith("")))',
    tests: STORES,
  },
  {
    name: 'a page that repeats its token is accepted',
    file: LISTED,
    search: 'if (page.cursor !== undefined && page.cursor === cursor)',
    replace: 'if (page.cursor !== undefined && page.cursor === prefix)',
    tests: STORES,
  },
  {
    name: 'a name without a time is from 1970',
    file: LISTED,
    search: 'if (Number.isNaN(sizeBytes) || Number.isNaN(modifiedMs))',
    replace: 'if (Number.isNaN(sizeBytes))',
    tests: STORES,
  },
  {
    name: 'names that the store refused to delete count as removed',
    file: DELETE_OBJECTS,
    search: "if (code === 'NoSuchKey') continue;",
    replace: "if (code !== '') continue;",
    tests: STORES,
  },
  {
    name: 'a store that cannot delete many objects at once gets the request each time',
    file: DELETE_OBJECTS,
    search: 'if (UNSUPPORTED_FOR_GOOD.has(status)) this.#isSupported = false;',
    replace: '',
    tests: STORES,
  },
  {
    name: 'a removal at a store that is down tries every name',
    file: 'cache/stores/object/removal.ts',
    search: 'if (outages >= MAX_OUTAGES && last !== undefined)',
    replace: 'if (outages < 0 && last !== undefined)',
    tests: STORES,
  },
  {
    name: 'snapshots keep a blob from being deleted',
    file: 'cache/stores/azure-blob/store.ts',
    search: "azureErrorCode(response) !== 'SnapshotsPresent'",
    replace: "azureErrorCode(response) !== ''",
    tests: STORES,
  },
  {
    name: 'a scan continues with the file that it ended with',
    file: THREAD_LISTS,
    search: '(name === after && !isInclusive)',
    replace: '(name === after && isInclusive && after === "")',
    tests: STORES,
  },
  {
    name: 'a directory of many names is listed in part',
    file: THREAD_LISTS,
    search: 'to = sorted.toString',
    replace: 'if (maxNames < 0) to = sorted.toString',
    tests: STORES,
  },
  {
    name: 'a scan follows links',
    file: THREAD_LISTS,
    search: 'stat = fs.lstatSync(',
    replace: 'stat = fs.statSync(',
    tests: STORES,
  },
  {
    name: 'a scan removes directories that were just created',
    file: THREAD_LISTS,
    search: "batch.length === 0 && from === '' && stat.mtimeMs < emptySinceMs",
    replace: "batch.length === 0 && from === ''",
    tests: STORES,
  },
  {
    name: 'a commit into a directory that was just removed fails',
    file: 'cache/stores/filesystem/exclusive-file.ts',
    search: 'const DIRECTORY_ATTEMPTS = 4;',
    replace: 'const DIRECTORY_ATTEMPTS = 1;',
    tests: STORES,
  },
  {
    name: 'a directory that was read stays as it was',
    file: STORED_NAMES,
    search: 'this.#directories = this.#directories.filter((directory) => directory.addPath(path));',
    replace: '',
    tests: STORES,
  },
  {
    name: 'a directory that was read is never read again',
    file: STORED_NAMES,
    search: 'this.#directories = this.#directories.filter((names) => names.isCurrent(nowMs));',
    replace: '',
    tests: STORES,
  },
  {
    name: 'new pins of other replicas are missing from lists until their directory is read again',
    file: STORED_NAMES,
    search: 'if (at === undefined && !LARGE.test(directory))',
    replace: 'if (false)',
    tests: STORES,
  },
  {
    name: 'lists and removals count for the circuit breaker of the cachestore',
    file: 'cache/engine/upstream/guarded.ts',
    search: 'list: (...args) => uncounted(() => store.list(...args)),',
    replace: 'list: (prefix, ...args) => guarded(prefix, () => store.list(prefix, ...args)),',
    tests: ['test/cache/engine/upstream/guarded.test.ts'],
  },
  {
    name: 'a quota that is used up is an outage',
    file: 'cache/engine/upstream/guarded.ts',
    search: "  'QuotaExceeded',\n",
    replace: '',
    tests: ['test/cache/engine/upstream/guarded.test.ts'],
  },
  {
    name: 'a chunk that was evicted counts as never stored',
    file: 'cache/engine/fetch/from-store.ts',
    search: "isEvicted ? 'evicted' : error.code",
    replace: 'error.code',
    tests: ['test/cache/engine/fetch/from-store.test.ts'],
  },
  {
    name: 'the probe does not notice a store without lists',
    file: 'cache/stores/object/object-store.ts',
    search: "if (!isListed) problems.push('list');",
    replace: '',
    tests: ['test/cache/stores/s3/probe.test.ts'],
  },
];
