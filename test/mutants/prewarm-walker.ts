/** Defects of the walk of prewarms in the cache pods. */
import type { Mutant } from './mutants.ts';

const CODE = 'cache/prewarm';
const TESTS = 'test/cache/prewarm';

export const PREWARM_WALKER_MUTANTS: readonly Mutant[] = [
  {
    name: 'the position of a run passes an object that is not done',
    file: `${CODE}/progress.ts`,
    search: 'if (!entry.hasEnded) break;',
    replace: ';',
    tests: [`${TESTS}/walk.test.ts`],
  },
  {
    name: 'a new walker reports as stored before what its predecessor fetched',
    file: `${CODE}/progress.ts`,
    search: 'const carried = Math.min(found, this.#carriedBytes);',
    replace: 'const carried = 0;',
    tests: [`${TESTS}/walk.test.ts`],
  },
  {
    name: 'a list that an outage interrupts ends there',
    file: `${CODE}/targets/patient-pages.ts`,
    search: 'pages = target.pages(after, signal);\n      throw error;',
    replace: 'throw error;',
    tests: [`${TESTS}/walk.test.ts`],
  },
  {
    name: 'chunks that were stored count against the rate',
    file: `${CODE}/warm-object.ts`,
    search: 'context.pace.giveBack(lengthBytes - originBytes);',
    replace: ';',
    tests: [`${TESTS}/walk.test.ts`],
  },
  {
    name: 'requests that are throttled together lower the pace for each of them',
    file: `${CODE}/pace.ts`,
    search: 'if (nowMs - this.#halvedMs < HALVED_AT_MOST_EVERY_MS) return;',
    replace: ';',
    tests: [`${TESTS}/pace.test.ts`],
  },
  {
    name: 'a record is written after its prewarm was deleted',
    file: `${CODE}/lead.ts`,
    search: 'if (!this.#resources.has(uid)) led.walking?.drop();',
    replace: ';',
    tests: [`${TESTS}/lead.test.ts`],
  },
  {
    name: 'records of other caches are swept',
    file: `${CODE}/clean-up.ts`,
    search: 'if (record === undefined || record.cache !== cache) return;',
    replace: 'if (record === undefined) return;',
    tests: [`${TESTS}/lead.test.ts`],
  },
  {
    name: 'a resource that is not installed counts as deleted prewarms',
    file: `${CODE}/watch.ts`,
    search: 'onComplete(false);',
    replace: 'for (const uid of resources.keys()) onDeleted(uid);',
    tests: [`${TESTS}/watch.test.ts`],
  },
  {
    name: 'a refused pin keeps what it had',
    file: `${CODE}/run-pin.ts`,
    search: 'await this.#options.pins.remove(this.#record.name, signal);',
    replace: ';',
    tests: [`${TESTS}/run-pin.test.ts`],
  },
];
