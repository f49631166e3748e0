/**
 * Parses the XML documents of object stores strictly: a document that ends early, or is of another kind, must never be
 * taken for a shorter one. Only what such documents consist of is accepted: elements, attributes, text, references. Pure.
 */

export interface XmlElement {
  readonly name: string;
  /** As it stands between the name and `>`. */
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
/** An end tag, a start tag with its attributes, or text. */
const TOKEN = /<(?:\/([\w.:-]+)\s*|([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?))>|([^<]+)/y;

interface OpenElement {
  readonly name: string;
  readonly attributes: string;
  readonly children: XmlElement[];
  text: string;
}

/** The root element. Throws XmlError for anything that is not one well-formed element. */
export function parseXml(source: string): XmlElement {
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  TOKEN.lastIndex = PROLOG.exec(source)?.[0].length ?? 0;
  while (TOKEN.lastIndex < source.length) {
    const match = TOKEN.exec(source);
    if (match === null) throw new XmlError('unknown markup');
    const [, end, start, attributes = '', isEmpty, text] = match;
    const parent = open.at(-1);
    let closed: OpenElement | undefined;
    if (text !== undefined) {
      if (parent !== undefined) parent.text += decodeReferences(text);
      else if (text.trim() !== '') throw new XmlError('text outside of the root element');
    } else if (end !== undefined) {
      closed = open.pop();
      if (closed?.name !== end) throw new XmlError(`an end tag of another element: ${end.slice(0, 100)}`);
    } else if (start !== undefined) {
      if (root !== undefined || open.length >= MAX_DEPTH) throw new XmlError('too many nested elements, or two roots');
      const element = { name: start, attributes, children: [], text: '' };
      if (isEmpty === '/') closed = element;
      else open.push(element);
    }
    if (closed === undefined) continue;
    const around = open.at(-1);
    if (around === undefined) root = closed;
    else around.children.push(closed);
  }
  if (root === undefined) throw new XmlError('the document ends early');
  return root;
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

function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(
    /&(?:#x([0-9a-fA-F]{1,6});|#(\d{1,7});|(\w{1,32});)?/g,
    (_all, hex: string | undefined, decimal: string | undefined, word: string | undefined) => {
      if (hex !== undefined) return characterOf(Number.parseInt(hex, 16));
      if (decimal !== undefined) return characterOf(Number(decimal));
      const character = ENTITIES.get(word ?? '');
      if (character === undefined) throw new XmlError('an unknown reference');
      return character;
    },
  );
}

function characterOf(code: number): string {
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (code > 0x10_ffff || isSurrogate) throw new XmlError('a reference to no character');
  return String.fromCodePoint(code);
}
