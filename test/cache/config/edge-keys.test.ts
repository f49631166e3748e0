import { describe, expect, onTestFinished, test } from 'vitest';
import { parseEdgeKeys } from '#cache/config/edge-keys.ts';

const SECRET = 'never-to-be-repeated';

test('keys and what each may read', () => {
  const text = `[{ accessKeyId: BOB, secretAccessKey: ${SECRET}, buckets: [{ name: a }] }]`;
  const grants = [{ name: 'a', prefix: '' }];
  expect(parseEdgeKeys(text, 'SigV4')).toEqual({
    ok: true,
    keys: [{ label: 'BOB', accessKeyId: 'BOB', secretAccessKey: SECRET, grants }],
  });
});

describe('what is wrong is said without a secret', () => {
  test.for([
    ['a forgotten colon', `[{ accessKeyId: BOB, secretAccessKey ${SECRET} }]`, '[0]["…"]'],
    ['a secret in the place of a name', `[{ ${SECRET}: BOB }]`, '[0]["…"]'],
    ['a secret in the place of a key', `[${SECRET}]`, '[0]'],
    ['an anchor that is not there', `[{ secretAccessKey: *${SECRET} }]`, 'is no YAML'],
    ['a tag', `[{ secretAccessKey: !${SECRET} x }]`, ''],
    ['a map in the place of a name', `[{ { a: ${SECRET} }: x }]`, '[0]'],
    ['no end', `[{ secretAccessKey: "${SECRET}`, 'line 1'],
    ['the same key twice', `- &a { accessKeyId: BOB, secretAccessKey: ${SECRET} }\n- *a`, 'twice'],
  ] as const)('%s', ([, text, said]) => {
    const warned: string[] = [];
    const listen = (warning: Error) => warned.push(warning.message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const reading = parseEdgeKeys(text, 'SigV4');
    const mistakes = reading.ok ? '' : reading.mistakes.join('\n');
    expect(mistakes).toContain(said);
    expect(mistakes).not.toContain(SECRET);
    return new Promise<void>((resolve) => {
      // Warnings come with the next turn.
      setImmediate(() => {
        expect(warned.join('\n')).not.toContain(SECRET);
        resolve();
      });
    });
  });
});
