/**
 * Parses the XML documents of object stores strictly: a document that ends early, or is of another kind, must never be
 * taken for a shorter one. Only what such documents consist of is accepted: elements, attributes, text, references. Pure.
 */

export interface XmlElement {
  readonly name: string;
  /** The text between the name and `>`. */
  readonly attributes: string;
  readonly children: readonly XmlElement[];
  /** All text directly in it. */
  readonly text: string;
}

/** The document is not what it should be. */
export class XmlError extends Error {
  override readonly name = 'XmlError';
}

/** Lists nest four levels deep. Without a limit a document of start tags would take much memory. */
const MAX_DEPTH = 16;
const PROLOG = /^\uFEFF?(?:<\?xml[^<>]*\?>)?\s*/;
const NAME = /^[\w.:-]+$/;
/** A start tag with attributes. */
const START_TAG = /<([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;

interface OpenElement {
  readonly name: string;
  readonly attributes: string;
  readonly children: XmlElement[];
  text: string;
}

interface StartTag {
  readonly name: string;
  readonly attributes: string;
  readonly isEmpty: boolean;
  /** Where the tag ends. */
  readonly to: number;
}

/** The root element. Throws XmlError for anything that is not one well-formed element. */
export function parseXml(source: string): XmlElement {
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  const close = (element: OpenElement): void => {
    const around = open.at(-1);
    if (around === undefined) root = element;
    else around.children.push(element);
  };
  let at = PROLOG.exec(source)?.[0].length ?? 0;
  for (;;) {
    const tag = source.indexOf('<', at);
    addText(open.at(-1), source.slice(at, tag < 0 ? source.length : tag));
    if (tag < 0) break;
    if (source.startsWith('/', tag + 1)) {
      const element = open.pop();
      at = endOf(source, tag, element?.name ?? '');
      if (element !== undefined) close(element);
    } else {
      const { name, attributes, isEmpty, to } = startTag(source, tag);
      if (root !== undefined || open.length >= MAX_DEPTH) throw new XmlError('too many nested elements, or two roots');
      const element = { name, attributes, children: [], text: '' };
      if (isEmpty) close(element);
      else open.push(element);
      at = to;
    }
  }
  if (root === undefined) throw new XmlError('the document ends early');
  return root;
}

function addText(parent: OpenElement | undefined, text: string): void {
  if (parent !== undefined) parent.text += decodeReferences(text);
  else if (text.trim() !== '') throw new XmlError('text outside of the root element');
}

/** Where the end tag of the element ends. */
function endOf(source: string, tag: number, name: string): number {
  const end = source.indexOf('>', tag);
  const found = source.slice(tag + 2, end < 0 ? tag + 2 : end).trimEnd();
  if (name === '' || found !== name) throw new XmlError(`an end tag of another element: ${found.slice(0, 100)}`);
  return end + 1;
}

function startTag(source: string, tag: number): StartTag {
  const end = source.indexOf('>', tag);
  const simple = source.slice(tag + 1, end < 0 ? tag + 1 : end);
  if (NAME.test(simple)) return { name: simple, attributes: '', isEmpty: false, to: end + 1 };
  START_TAG.lastIndex = tag;
  const [all, name, attributes = '', slash] = START_TAG.exec(source) ?? [];
  if (all === undefined || name === undefined) throw new XmlError('unknown markup');
  return { name, attributes, isEmpty: slash === '/', to: tag + all.length };
}

/** Throws unless the root has this name. */
export function parseXmlOf(rootName: string, source: string): XmlElement {
  const root = parseXml(source);
  if (root.name !== rootName) throw new XmlError(`a document of ${root.name.slice(0, 100)} instead of ${rootName}`);
  return root;
}

export function childOf(parent: XmlElement, name: string): XmlElement | undefined {
  return parent.children.find((child) => child.name === name);
}

export function textOf(parent: XmlElement, name: string): string | undefined {
  return childOf(parent, name)?.text;
}

/** The text of a child that must exist. */
export function requiredText(parent: XmlElement, name: string): string {
  const text = textOf(parent, name);
  if (text === undefined) throw new XmlError(`no ${name} in ${parent.name}`);
  return text;
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

const REFERENCE = /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w{1,32}));/y;

function decodeReferences(text: string): string {
  let at = text.indexOf('&');
  if (at < 0) return text;
  let decoded = text.slice(0, at);
  while (at >= 0) {
    REFERENCE.lastIndex = at;
    const [all, hex, decimal, word = ''] = REFERENCE.exec(text) ?? [];
    if (all === undefined) throw new XmlError('an ampersand that begins no reference');
    decoded += hex === undefined && decimal === undefined ? entity(word) : characterOf(codeOf(hex, decimal));
    const next = text.indexOf('&', at + all.length);
    decoded += text.slice(at + all.length, next < 0 ? text.length : next);
    at = next;
  }
  return decoded;
}

function entity(word: string): string {
  const character = ENTITIES.get(word);
  if (character === undefined) throw new XmlError('an unknown reference');
  return character;
}

function codeOf(hex: string | undefined, decimal: string | undefined): number {
  return hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
}

function characterOf(code: number): string {
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (code > 0x10_ffff || isSurrogate) throw new XmlError('a reference to no character');
  return String.fromCodePoint(code);
}
