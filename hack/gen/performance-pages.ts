/** The pages and pictures with measured numbers, from the run in docs/performance/run.json. */
import { fillParts } from '#hack/bench.d/report/fill.ts';
import { performanceParts } from '#hack/bench.d/report/page.ts';
import { plotsOf } from '#hack/bench.d/report/plot.ts';
import { parseResults } from '#hack/bench.d/report/results.ts';
import { sizingParts } from '#hack/bench.d/report/sizing.ts';

const RUN = 'docs/performance/run.json';

/** Path → generator, as in hack/gen.ts. Hand-written text of the pages stays. */
export function performancePages(read: (path: string) => string): Readonly<Record<string, () => string>> {
  const results = parseResults(read(RUN));
  return {
    'docs/performance.md': () => fillParts(read('docs/performance.md'), performanceParts(results)),
    'docs/guides/sizing.md': () => fillParts(read('docs/guides/sizing.md'), sizingParts(results)),
    ...Object.fromEntries([...plotsOf(results)].map(([name, svg]) => [`docs/performance/${name}`, () => svg])),
  };
}
