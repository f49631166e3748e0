import { describe, expect, onTestFinished, test } from 'vitest';
import { parseEdgeKeys } from '#cache/config/edge-keys.ts';

const SECRET = 'never-to-be-repeated';

test('parses keys and their grants', () => {
  const text = `[{ accessKeyId: BOB, secretAccessKey: ${SECRET}, buckets: [{ name: a }] }]`;
  const grants = [{ name: 'a', prefix: '' }];
  expect(parseEdgeKeys(text, 'SigV4')).toEqual({
    ok: true,
    keys: [{ label: 'BOB', accessKeyId: 'BOB', secretAccessKey: SECRET, grants }],
  });
});

describe('problems contain no secret', () => {
  test.for([
    ['a missing colon', `[{ accessKeyId: BOB, secretAccessKey ${SECRET} }]`, '[0]["…"]'],
    ['a secret in place of a field name', `[{ ${SECRET}: BOB }]`, '[0]["…"]'],
    ['a secret in place of a key', `[${SECRET}]`, '[0]'],
    ['an unresolved alias', `[{ secretAccessKey: *${SECRET} }]`, 'is not valid YAML'],
    ['a tag', `[{ secretAccessKey: !${SECRET} x }]`, ''],
    ['a map in place of a field name', `[{ { a: ${SECRET} }: x }]`, '[0]'],
    ['an unterminated string', `[{ secretAccessKey: "${SECRET}`, 'line 1'],
    [
      'a duplicate key',
      `- &a { accessKeyId: BOB, secretAccessKey: ${SECRET} }\n- *a`,
      '[1].accessKeyId: is a duplicate',
    ],
  ] as const)('%s', ([, text, expected]) => {
    const warned: string[] = [];
    const listen = (warning: Error) => warned.push(warning.message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const reading = parseEdgeKeys(text, 'SigV4');
    const problems = reading.ok ? '' : reading.problems.join('\n');
    expect(problems).toContain(expected);
    expect(problems).not.toContain(SECRET);
    return new Promise<void>((resolve) => {
      // Node emits warnings on the next turn of the event loop.
      setImmediate(() => {
        expect(warned.join('\n')).not.toContain(SECRET);
        resolve();
      });
    });
  });
});
