import { describe, expect, test } from 'vitest';
import { openLog } from '#shared/log.ts';

function open(level: 'debug' | 'info' | 'warn' | 'error' = 'info') {
  const lines: string[] = [];
  const log = openLog({ name: 'cache', level, write: (line) => lines.push(line) });
  return { log, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown>, lines };
}

describe('a line', () => {
  test('is one JSON document with name, level, time and message', () => {
    const { log, last, lines } = open();
    log.info('ready', { peers: 3 });
    expect(lines[0]).toMatch(/^[^\n]*\n$/);
    expect(last()).toMatchObject({ name: 'cache', level: 'info', message: 'ready', peers: 3 });
    expect(Number.isNaN(Date.parse(String(last()['time'])))).toBe(false);
  });

  test('has the fields of all its parent logs', () => {
    const { log, last } = open();
    log.child({ requestId: 'r1' }).child({ bucket: 'b' }).warn('slow', { key: 'a/b' });
    expect(last()).toMatchObject({ requestId: 'r1', bucket: 'b', key: 'a/b', level: 'warn' });
  });

  test('shows an error with its code, status and causes', () => {
    const { log, last } = open();
    const error = Object.assign(new Error('outer', { cause: new TypeError('inner') }), {
      code: 'origin_unavailable',
      status: 503,
    });
    log.error('failed', { error });
    expect(last()['error']).toMatchObject({
      message: 'outer',
      code: 'origin_unavailable',
      status: 503,
      cause: { type: 'TypeError', message: 'inner' },
    });
  });
});

describe('the level', () => {
  test('changes at run time, also for existing child logs', () => {
    const { log, lines } = open('warn');
    const child = log.child({ a: 1 });
    child.info('discarded');
    expect(lines).toHaveLength(0);
    log.setLevel('debug');
    child.debug('written');
    expect(lines).toHaveLength(1);
    expect(log.level()).toBe('debug');
  });
});

describe('secrets', () => {
  test.for([
    { secretAccessKey: 'hunter2' },
    { 'secret-access-key': 'hunter2' },
    { request: { headers: { Authorization: 'hunter2' } } },
    { headers: { 'X-Orca-Mac': 'hunter2' } },
    { list: [{ token: 'hunter2' }] },
    { url: 'https://a/b?X-Amz-Signature=hunter2&x=1' },
    { error: new Error('GET https://a/b?se=1&sig=hunter2 failed') },
    { error: new Error('outer', { cause: new Error('https://a?X-Amz-Security-Token=hunter2') }) },
    { body: Buffer.from('hunter2') },
  ])('are not written: %j', (fields) => {
    const { log, lines } = open();
    log.info('request', fields);
    log.child(fields).info('again');
    expect(lines).toHaveLength(2);
    expect(lines.join('')).not.toContain('hunter2');
  });

  test('are redacted in the message, too', () => {
    const { log, last } = open();
    log.info('GET https://a/b?X-Amz-Credential=hunter2&versionId=3');
    expect(last()['message']).toBe('GET https://a/b?X-Amz-Credential=[redacted]&versionId=3');
  });
});

test('a circular reference is cut off', () => {
  const { log, lines } = open();
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  log.info('loop', loop);
  expect(lines[0]).toContain('[deep]');
});
