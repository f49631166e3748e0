import { expect, test } from 'vitest';
import { errorDocument, escapeXml } from '#cache/core/s3/xml.ts';

test('escapeXml escapes markup, quotes and control characters only', () => {
  expect(escapeXml(`<a b="c" d='e'>&\u0001\n é 🐋`)).toBe(
    '&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;&#x1;&#xa; é 🐋',
  );
});

test('an error document is well-formed for any text from a client', () => {
  expect(errorDocument({ Key: 'a\0b\u0008c\u{ffff}\ud800\t</Key>' })).toContain(
    '<Key>a\ufffdb\ufffdc\ufffd\ufffd&#x9;&lt;/Key&gt;</Key>',
  );
});

test('an error document has its fields in order, without undefined ones', () => {
  expect(errorDocument({ Code: 'NoSuchKey', Message: 'a < b', Key: undefined, ActualObjectSize: 0 })).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>a &lt; b</Message><ActualObjectSize>0</ActualObjectSize></Error>',
  );
});
