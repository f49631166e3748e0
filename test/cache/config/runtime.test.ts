import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '#cache/config/load.ts';
import { configuredSettings, readRuntime, watchRuntime } from '#cache/config/runtime.ts';
import type { RuntimeSettings } from '#cache/config/runtime.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { facts, GIB, minimalFileWith } from './minimal-file.ts';

const config = parseConfig(minimalFileWith({}), facts);
const base = configuredSettings(config);
const good: RuntimeSettings = {
  logLevel: 'warn',
  targetGlobal: 10,
  readahead: 2,
  capacity: { ...base.capacity, highWatermark: 95, capacityBytes: 2 * GIB },
  provenConfigs: ['cafe0123'],
};

describe('the runtime file', () => {
  test('overrides the config file key by key', () => {
    expect(readRuntime('origin: {targetGlobal: 7}\nprovenConfigs: [cafe0123]\n', config, base, {})).toEqual({
      settings: { ...base, targetGlobal: 7, provenConfigs: ['cafe0123'] },
      problems: [],
    });
  });

  test('that is empty leaves the configured settings', () => {
    expect(readRuntime('', config, good, {})).toEqual({ settings: base, problems: [] });
  });

  test('from which a key is removed restores the value of the config file', () => {
    expect(readRuntime('logLevel: debug\n', config, good, {}).settings).toEqual({ ...base, logLevel: 'debug' });
  });

  test('with one invalid key keeps its last valid value, applies the other keys, and reports the problem', () => {
    const reading = readRuntime(
      'logLevel: loud\norigin: {targetGlobal: 7}\nprovenConfigs: [beef4567]\n',
      config,
      good,
      {},
    );
    expect(reading.settings).toEqual({
      logLevel: 'warn',
      targetGlobal: 7,
      readahead: base.readahead,
      capacity: base.capacity,
      provenConfigs: ['beef4567'],
    });
    expect(reading.problems).toEqual(['logLevel: must be one of debug, info, warn, error (line 1)']);
  });

  test.for([
    ['an invalid nested key', 'chunking: {readahead: -1}', 'readahead'],
    ['a string in place of a map', 'chunking: off', 'readahead'],
    ['a number out of bounds', 'origin: {targetGlobal: 0}', 'targetGlobal'],
    ['an invalid hash', 'provenConfigs: [beef4567, "no hash"]', 'provenConfigs'],
  ] as const)('with %s keeps the last valid setting', ([, text, key]) => {
    const reading = readRuntime(text, config, good, {});
    expect(reading.settings[key]).toBe(good[key]);
    expect(reading.problems).toHaveLength(1);
  });

  test('sets the limits of the cachestore', () => {
    const text =
      'cacheStore: {capacity: 20Ti, highWatermark: 95, lowWatermark: 70, maxIdle: 720h, minAge: 1m, maxPinned: 10, sweepInterval: 30s}';
    expect(readRuntime(text, config, good, {})).toEqual({
      settings: {
        ...base,
        capacity: {
          capacityBytes: 20 * 1024 * GIB,
          highWatermark: 95,
          lowWatermark: 70,
          maxIdleMs: 720 * 3_600_000,
          minAgeMs: 60_000,
          maxPinned: 10,
          sweepIntervalMs: 30_000,
        },
      },
      problems: [],
    });
  });

  test('without limits of the cachestore restores those of the config file', () => {
    const limited = parseConfig(minimalFileWith({ 'cacheStore.capacity': '10Gi', 'cacheStore.maxIdle': '1h' }), facts);
    const { capacity } = readRuntime('cacheStore: {minAge: 0s}', limited, good, {}).settings;
    expect(capacity).toEqual({ ...base.capacity, capacityBytes: 10 * GIB, maxIdleMs: 3_600_000, minAgeMs: 0 });
  });

  test.for([
    ['a malformed capacity', 'capacity: 20TB', 'cacheStore.capacity: must be a size from 4Mi to 8000Ti'],
    [
      'a capacity below four chunks',
      'capacity: 500Mi',
      'cacheStore.capacity: must be at least four times the largest chunk size (512Mi by default): 536870912 bytes',
    ],
    [
      'equal watermarks',
      '{highWatermark: 60, lowWatermark: 60}',
      'cacheStore.lowWatermark: must be below highWatermark',
    ],
    ['a high watermark below the configured low one', 'highWatermark: 75', 'must be below highWatermark'],
    ['a limit that does not exist', 'maxAge: 1h', 'cacheStore.maxAge: is not a known key'],
  ] as const)('with %s reports it and keeps the last valid limits', ([, text, problem]) => {
    const limits = text.startsWith('{') ? text : `{${text}}`;
    const reading = readRuntime(`cacheStore: ${limits}`, config, good, {});
    const { capacityBytes, highWatermark, lowWatermark } = good.capacity;
    const kept = { capacityBytes, highWatermark, lowWatermark };
    // What the file does not have, and nothing contradicts, is the config file's again.
    const restored = {
      ...(!text.includes('capacity') && { capacityBytes: base.capacity.capacityBytes }),
      ...(!text.includes('Watermark') && { highWatermark: base.capacity.highWatermark }),
    };
    expect(reading.settings.capacity).toEqual({ ...base.capacity, ...kept, ...restored });
    expect(reading.problems).toEqual([expect.stringContaining(problem)]);
  });

  test('with an unknown key reports it and applies the other keys', () => {
    const reading = readRuntime('logLevel: debug\nmemory: {budget: 1Gi}\n', config, good, {});
    expect(reading).toEqual({
      settings: { ...base, logLevel: 'debug' },
      problems: ['memory: is not a known key (line 2)'],
    });
  });

  test.for(['logLevel: [', '- a', 'just text'])('with content %j keeps all last valid settings', (text) => {
    const reading = readRuntime(text, config, good, {});
    expect(reading.settings).toEqual(good);
    expect(reading.problems).not.toEqual([]);
  });

  test('keeps the leading zeros of an all-digit configuration hash', () => {
    expect(readRuntime('provenConfigs: ["00123456"]\n', config, base, {}).settings.provenConfigs).toEqual(['00123456']);
  });

  test('does not override the log level of the environment', () => {
    expect(readRuntime('logLevel: error\n', config, base, { ORCA_LOG_LEVEL: 'debug' }).settings.logLevel).toBe('debug');
  });
});

function watched(path: string | undefined) {
  const clock = fakeClock();
  const abort = new AbortController();
  const settings: RuntimeSettings[] = [];
  const problems: (readonly string[])[] = [];
  const done = watchRuntime({
    config: { ...config, runtimeFile: path },
    env: {},
    clock,
    signal: abort.signal,
    onChange: (next) => settings.push(next),
    onProblems: (next) => problems.push(next),
  });
  return { clock, abort, settings, problems, done };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'orca-runtime-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const POLL_MS = 2000;

describe('watchRuntime', () => {
  test('reports the initial settings at once, then only changes', async () => {
    const path = join(directory(), 'runtime.yaml');
    writeFileSync(path, 'logLevel: warn\n');
    const { clock, abort, settings, problems, done } = watched(path);
    expect(settings.map((one) => one.logLevel)).toEqual(['warn']);
    await clock.advance(POLL_MS * 3);
    expect(settings).toHaveLength(1);
    writeFileSync(path, 'logLevel: debug\n');
    await clock.advance(POLL_MS);
    expect(settings.map((one) => one.logLevel)).toEqual(['warn', 'debug']);
    expect(problems).toEqual([]);
    abort.abort();
    await done;
    expect(clock.pending()).toBe(0);
  });

  test('follows the symlink swap of a mounted ConfigMap', async () => {
    const root = directory();
    writeFileSync(join(root, 'one.yaml'), 'provenConfigs: [aaaa]\n');
    writeFileSync(join(root, 'two.yaml'), 'provenConfigs: [bbbb]\n');
    const path = join(root, 'runtime.yaml');
    symlinkSync(join(root, 'one.yaml'), path);
    const { clock, abort, settings, done } = watched(path);
    symlinkSync(join(root, 'two.yaml'), join(root, 'next'));
    renameSync(join(root, 'next'), path);
    await clock.advance(POLL_MS);
    expect(settings.flatMap((one) => one.provenConfigs)).toEqual(['aaaa', 'bbbb']);
    abort.abort();
    await done;
  });

  test('keeps the last valid settings while the file is invalid or missing, and reports each problem and its end once', async () => {
    const path = join(directory(), 'runtime.yaml');
    writeFileSync(path, 'origin: {targetGlobal: 5}\n');
    const { clock, abort, settings, problems, done } = watched(path);
    writeFileSync(path, 'origin: {targetGlobal: many}\n');
    await clock.advance(POLL_MS * 3);
    expect(problems).toEqual([['origin.targetGlobal: must be an integer (line 1)']]);
    unlinkSync(path);
    await clock.advance(POLL_MS * 3);
    expect(problems).toEqual([expect.anything(), [expect.stringContaining('cannot be read') as string]]);
    writeFileSync(path, 'origin: {targetGlobal: 6}\n');
    await clock.advance(POLL_MS);
    expect(problems.at(-1)).toEqual([]);
    expect(settings.map((one) => one.targetGlobal)).toEqual([5, 6]);
    abort.abort();
    await done;
  });

  test('without a runtime file reports the configured settings and ends', async () => {
    const { clock, settings, done } = watched(undefined);
    await done;
    expect(settings).toEqual([base]);
    expect(clock.pending()).toBe(0);
  });
});
