import * as fc from 'fast-check';
import { Counter, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { PlainCounter, PlainHistogram } from '#cache/http/plain-metrics.ts';
import { RUNS } from '#test/support/fuzz.ts';

const BOUNDS = [0.001, 0.5, 1, 30];
const METHODS = ['GET', 'HEAD', 'other'];
const observation = fc.record({
  // On, between and beyond the bounds.
  value: fc.oneof(fc.constantFrom(...BOUNDS, 0), fc.double({ min: 0, max: 100, noNaN: true })),
  method: fc.constantFrom(...METHODS),
});

test('a plain histogram is exposed as prom-client’s own, with and without a label', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(observation, { maxLength: 30 }), fc.boolean(), async (observations, hasLabel) => {
      const [plain, own] = [new Registry(), new Registry()];
      const spec = { name: 'seconds', help: 'Time', ...(hasLabel && { labels: { method: METHODS } }) };
      const histogram = new PlainHistogram(spec, BOUNDS, plain);
      const labelNames = hasLabel ? ['method'] : [];
      const expected = new Histogram({ name: 'seconds', help: 'Time', labelNames, buckets: BOUNDS, registers: [own] });
      for (const { value, method } of observations) {
        histogram.observe(value, hasLabel ? method : undefined);
        expected.observe(hasLabel ? { method } : {}, value);
      }
      expect(await plain.metrics()).toBe(await own.metrics());
    }),
    { numRuns: RUNS },
  );
});

test('a plain counter is exposed as prom-client’s own, however often it is scraped', async () => {
  const [plain, own] = [new Registry(), new Registry()];
  const labels = { method: METHODS, code: [] };
  const counter = new PlainCounter({ name: 'requests', help: 'Requests', labels }, plain, (key) => {
    const [method = '', code = ''] = key.split(' ');
    return { method, code };
  });
  const labelNames = Object.keys(labels);
  const expected = new Counter({ name: 'requests', help: 'Requests', labelNames, registers: [own] });
  for (const [method, code] of [
    ['GET', '200'],
    ['HEAD', '404'],
    ['GET', '200'],
  ] as const) {
    counter.add(`${method} ${code}`, 2);
    expected.inc({ method, code }, 2);
    expect(await plain.metrics()).toBe(await own.metrics());
  }
});
