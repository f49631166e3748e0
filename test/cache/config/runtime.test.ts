import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '#cache/config/load.ts';
import { configuredSettings, readRuntime, watchRuntime } from '#cache/config/runtime.ts';
import type { RuntimeSettings } from '#cache/config/runtime.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { facts, leastWith } from './least.ts';

const config = parseConfig(leastWith({}), facts);
const base = configuredSettings(config);
const good: RuntimeSettings = { logLevel: 'warn', targetGlobal: 10, readahead: 2, provenConfigs: ['cafe0123'] };

describe('the runtime file', () => {
  test('wins over the config file, key by key', () => {
    expect(readRuntime('origin: {targetGlobal: 7}\nprovenConfigs: [cafe0123]\n', config, base, {})).toEqual({
      settings: { ...base, targetGlobal: 7, provenConfigs: ['cafe0123'] },
      mistakes: [],
    });
  });

  test('that is empty leaves everything as configured', () => {
    expect(readRuntime('', config, good, {})).toEqual({ settings: base, mistakes: [] });
  });

  test('gives a key back to the config file when it no longer has it', () => {
    expect(readRuntime('logLevel: debug\n', config, good, {}).settings).toEqual({ ...base, logLevel: 'debug' });
  });

  test('with one bad key keeps that as it was, takes up the others, and says so', () => {
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
      provenConfigs: ['beef4567'],
    });
    expect(reading.mistakes).toEqual(['logLevel: must be one of debug, info, warn, error (line 1)']);
  });

  test.for([
    ['a bad member', 'chunking: {readahead: -1}', 'readahead'],
    ['text where a map belongs', 'chunking: off', 'readahead'],
    ['a number out of bounds', 'origin: {targetGlobal: 0}', 'targetGlobal'],
    ['a hash that is none', 'provenConfigs: [beef4567, "no hash"]', 'provenConfigs'],
  ] as const)('with %s keeps that setting as it was', ([, text, key]) => {
    const reading = readRuntime(text, config, good, {});
    expect(reading.settings[key]).toBe(good[key]);
    expect(reading.mistakes).toHaveLength(1);
  });

  test('with a key that it does not know says so and takes up the rest', () => {
    const reading = readRuntime('logLevel: debug\nmemory: {budget: 1Gi}\n', config, good, {});
    expect(reading).toEqual({
      settings: { ...base, logLevel: 'debug' },
      mistakes: ['memory: is not a known key (line 2)'],
    });
  });

  test.for(['logLevel: [', '- a', 'just text'])('that is %j keeps everything as it was', (text) => {
    const reading = readRuntime(text, config, good, {});
    expect(reading.settings).toEqual(good);
    expect(reading.mistakes).not.toEqual([]);
  });

  test('has an all-digit hash of a configuration without losing its zeros', () => {
    expect(readRuntime('provenConfigs: ["00123456"]\n', config, base, {}).settings.provenConfigs).toEqual(['00123456']);
  });

  test('does not change the log level that the environment has chosen', () => {
    expect(readRuntime('logLevel: error\n', config, base, { ORCA_LOG_LEVEL: 'debug' }).settings.logLevel).toBe('debug');
  });
});

function watched(path: string | undefined) {
  const clock = fakeClock();
  const abort = new AbortController();
  const settings: RuntimeSettings[] = [];
  const mistakes: (readonly string[])[] = [];
  const done = watchRuntime({
    config: { ...config, runtimeFile: path },
    env: {},
    clock,
    signal: abort.signal,
    onChange: (next) => settings.push(next),
    onMistakes: (next) => mistakes.push(next),
  });
  return { clock, abort, settings, mistakes, done };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'orca-runtime-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const POLL_MS = 2000;

describe('watching the runtime file', () => {
  test('says at once what holds, then each change and nothing else', async () => {
    const path = join(directory(), 'runtime.yaml');
    writeFileSync(path, 'logLevel: warn\n');
    const { clock, abort, settings, mistakes, done } = watched(path);
    expect(settings.map((one) => one.logLevel)).toEqual(['warn']);
    await clock.advance(POLL_MS * 3);
    expect(settings).toHaveLength(1);
    writeFileSync(path, 'logLevel: debug\n');
    await clock.advance(POLL_MS);
    expect(settings.map((one) => one.logLevel)).toEqual(['warn', 'debug']);
    expect(mistakes).toEqual([]);
    abort.abort();
    await done;
    expect(clock.pending()).toBe(0);
  });

  test('follows the way in which the kubelet swaps a mounted ConfigMap', async () => {
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

  test('keeps the last good settings while the file is bad or away, says so once, and says when it is good again', async () => {
    const path = join(directory(), 'runtime.yaml');
    writeFileSync(path, 'origin: {targetGlobal: 5}\n');
    const { clock, abort, settings, mistakes, done } = watched(path);
    writeFileSync(path, 'origin: {targetGlobal: many}\n');
    await clock.advance(POLL_MS * 3);
    expect(mistakes).toEqual([['origin.targetGlobal: must be an integer (line 1)']]);
    unlinkSync(path);
    await clock.advance(POLL_MS * 3);
    expect(mistakes).toEqual([expect.anything(), [expect.stringContaining("can't be read") as string]]);
    writeFileSync(path, 'origin: {targetGlobal: 6}\n');
    await clock.advance(POLL_MS);
    expect(mistakes.at(-1)).toEqual([]);
    expect(settings.map((one) => one.targetGlobal)).toEqual([5, 6]);
    abort.abort();
    await done;
  });

  test('without such a file ends at once, having said what is configured', async () => {
    const { clock, settings, done } = watched(undefined);
    await done;
    expect(settings).toEqual([base]);
    expect(clock.pending()).toBe(0);
  });
});
