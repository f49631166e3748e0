/** Fuzzes the files that users and the operator write: problems are reported, never thrown, and contain no secret. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEdgeKeys } from '#cache/config/edge-keys.ts';
import { ConfigError, parseConfig } from '#cache/config/load.ts';
import { configuredSettings, readRuntime } from '#cache/config/runtime.ts';
import { facts, minimalFileWith } from '#test/cache/config/minimal-file.ts';
import { damaged, nasty, RUNS } from '#test/support/fuzz.ts';

/** Parsing YAML takes a fraction of a millisecond. */
const YAML_RUNS = RUNS / 2;
const LEAST = minimalFileWith({});
const config = parseConfig(LEAST, facts);
const SECRET = 'never-to-be-repeated-0123456789';

const yaml = nasty(
  ': ',
  '\n',
  '  ',
  '- ',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '&a ',
  '*a',
  '!!js/function ',
  '<<',
  '? ',
  '|',
  '#',
  '---',
  '%YAML',
  '~',
  '1e999',
  '.nan',
);

test('a runtime file is read key by key: an invalid key keeps its last valid value', () => {
  const RUNTIME =
    'logLevel: debug\norigin: { targetGlobal: 64 }\nchunking: { readahead: 4 }\nprovenConfigs: [0123abcd]\n' +
    'cacheStore: { capacity: 2Gi, highWatermark: 95, lowWatermark: 70, maxIdle: 24h, minAge: 1m, sweepInterval: 10m }\n';
  const before = configuredSettings(config);
  const text = fc.oneof(
    damaged(RUNTIME),
    yaml,
    fc.tuple(damaged(RUNTIME), yaml).map(([a, b]) => a + b),
  );
  fc.assert(
    fc.property(text, (text) => {
      const { settings, problems } = readRuntime(text, config, before, {});
      expect(['debug', 'info', 'warn', 'error']).toContain(settings.logLevel);
      for (const number of [settings.targetGlobal, settings.readahead]) {
        expect(Number.isSafeInteger(number)).toBe(true);
        expect(number).toBeGreaterThanOrEqual(0);
      }
      const { capacityBytes, highWatermark, lowWatermark, maxPinned, ...limits } = settings.capacity;
      expect(lowWatermark).toBeLessThan(highWatermark);
      for (const number of [
        capacityBytes ?? 0,
        lowWatermark,
        highWatermark,
        maxPinned,
        limits.minAgeMs,
        limits.maxIdleMs ?? 0,
        limits.sweepIntervalMs,
      ]) {
        expect(Number.isSafeInteger(number)).toBe(true);
        expect(number).toBeGreaterThanOrEqual(0);
      }
      for (const hash of settings.provenConfigs) expect(hash).toBeTypeOf('string');
      for (const problem of problems) expect(typeof problem).toBe('string');
    }),
    { numRuns: YAML_RUNS },
  );
});

test('a configuration is resolved completely or rejected with problems', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        damaged(LEAST),
        fc.tuple(damaged(LEAST), yaml).map(([a, b]) => a + b),
        yaml,
      ),
      (text) => {
        try {
          const { origin, memory } = parseConfig(text, facts);
          expect(origin.id).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
          expect(Number.isSafeInteger(memory.budgetBytes) && memory.budgetBytes > 0).toBe(true);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: YAML_RUNS / 2 },
  );
});

test('keys.yaml is parsed or rejected with problems that contain no secret', () => {
  const KEYS = `- accessKeyId: ALICE\n  secretAccessKey: ${SECRET}\n  buckets: [{ name: a, prefix: b/ }]\n- { accessKeyId: BOB, secretAccessKey: "${SECRET}2" }\n`;
  fc.assert(
    fc.property(
      fc.oneof(
        damaged(KEYS),
        fc.tuple(damaged(KEYS), yaml).map(([a, b]) => a + b),
      ),
      (text) => {
        const reading = parseEdgeKeys(text, 'SigV4');
        if (reading.ok) {
          for (const key of reading.keys) expect(key.secretAccessKey).toBeTypeOf('string');
          return;
        }
        // A damaged secret still contains its longer half.
        expect(reading.problems.join('\n')).not.toMatch(/never-to-be-re|ated-0123456789/);
      },
    ),
    { numRuns: YAML_RUNS },
  );
});
