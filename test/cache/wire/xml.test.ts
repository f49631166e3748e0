import { array, assert, constant, property, record, string, stringMatching, type Arbitrary } from 'fast-check';
import { expect, test } from 'vitest';
import { escapeXml } from '#cache/core/s3/xml.ts';
import { childOf, parseXml, parseXmlOf, requiredText, textOf, XmlError, type XmlElement } from '#cache/wire/xml.ts';
import { codePoint, nasty, RUNS } from '#test/support/fuzz.ts';

const PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n';
const DOCUMENT = `${PROLOG}<List xmlns="http://example.com/"><Entry><Name>a&amp;b &#x41;&#66;</Name><Size>1</Size></Entry><Empty /><Entry/></List>\n`;

test('elements, texts, attributes and references', () => {
  const root = parseXmlOf('List', DOCUMENT);
  expect(root.attributes).toBe(' xmlns="http://example.com/"');
  expect(root.children.map(({ name }) => name)).toEqual(['Entry', 'Empty', 'Entry']);
  const entry = childOf(root, 'Entry');
  expect(textOf(entry!, 'Name')).toBe('a&b AB');
  expect(requiredText(entry!, 'Size')).toBe('1');
  expect(() => requiredText(entry!, 'Time')).toThrow(XmlError);
  expect(() => parseXmlOf('Error', DOCUMENT)).toThrow('a document of List instead of Error');
});

test('no beginning of a document is a document', () => {
  const end = DOCUMENT.trimEnd().length;
  for (let length = 0; length < end; length++) expect(() => parseXml(DOCUMENT.slice(0, length))).toThrow(XmlError);
});

test.for([
  ['nothing', ''],
  ['a text', 'hello'],
  ['two roots', '<a/><b/>'],
  ['a root and a text', '<a/>b'],
  ['a text and a root', 'b<a/>'],
  ['an end tag of another element', '<a><b></a></b>'],
  ['an end tag alone', '</a>'],
  ['an attribute without quotes', '<a b=c></a>'],
  ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
  ['an unknown entity', '<a>&b;</a>'],
  ['an ampersand', '<a>b & c</a>'],
  ['a reference to a surrogate', '<a>&#xd800;</a>'],
  ['a reference beyond Unicode', '<a>&#x110000;</a>'],
  ['a comment', '<a><!-- b --></a>'],
  ['deep nesting', '<a>'.repeat(100) + '</a>'.repeat(100)],
] as const)('%s is an error', ([, text]) => {
  expect(() => parseXml(text)).toThrow(XmlError);
});

test('a document that was written is read as it was', () => {
  const text = string({ unit: codePoint, maxLength: 8 });
  const node = (children: Arbitrary<XmlElement[]>): Arbitrary<XmlElement> =>
    record({
      name: stringMatching(/^[A-Za-z][A-Za-z0-9.-]{0,8}$/),
      attributes: stringMatching(/^(?: [a-z]{1,3}="[a-z >]{0,4}")?$/),
      children,
      text,
    });
  const leaf = node(constant([]));
  const element = node(array(node(array(node(array(leaf, { maxLength: 2 })), { maxLength: 2 })), { maxLength: 3 }));
  const write = ({ name, attributes, children, text: own }: XmlElement): string =>
    `<${name}${attributes}>${escapeXml(own)}${children.map(write).join('')}</${name}>`;
  assert(
    property(element, (root) => {
      expect(parseXml(write(root))).toEqual(root);
    }),
    { numRuns: RUNS },
  );
});

test('any other text is parsed, or an XmlError', () => {
  const text = nasty('<a>', '</a>', '<a/>', '<b c="d">', '&amp;', '&#x41;', '<', '>', '/', '"', '&', '<?xml ?>');
  assert(
    property(text, (source) => {
      try {
        expect(parseXml(source).name).not.toBe('');
      } catch (error) {
        expect(error).toBeInstanceOf(XmlError);
      }
    }),
    { numRuns: RUNS },
  );
});

test('hostile documents of a megabyte take milliseconds', () => {
  const startedMs = performance.now();
  for (const text of [
    `<a${' '.repeat(1e6)}`,
    `<a${' b="c"'.repeat(150_000)}`,
    `<a${' b="c" '.repeat(150_000)}!`,
    '<a'.repeat(500_000),
    `<a>${'&'.repeat(1e6)}`,
    '<a>'.repeat(300_000),
    '<?xml '.repeat(1e5),
    ' '.repeat(1e6),
  ])
    expect(() => parseXml(text)).toThrow(XmlError);
  expect(performance.now() - startedMs).toBeLessThan(2_000);
});
