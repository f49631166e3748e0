/**
 * An XML parser that accepts only what XML 1.0 defines as well-formed, for the constructs of our documents: elements,
 * attributes, text, references. It is independent of the code that writes them.
 */

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** All text directly in it. */
  readonly text: string;
}

const NAME = /[A-Za-z_][\w.:-]*/y;
const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Throws for anything that is not well-formed. */
export function parseStrictXml(source: string): XmlElement {
  const prolog = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!source.startsWith(prolog)) throw new Error('no prolog');
  let at = prolog.length;

  const take = (text: string): boolean => {
    if (!source.startsWith(text, at)) return false;
    at += text.length;
    return true;
  };
  const must = (text: string): void => {
    if (!take(text)) throw new Error(`${text} is missing at ${at}: ${source.slice(at, at + 40)}`);
  };
  const name = (): string => {
    NAME.lastIndex = at;
    const match = NAME.exec(source)?.[0];
    if (match === undefined) throw new Error(`no name at ${at}`);
    at += match.length;
    return match;
  };
  const textUntil = (end: string): string => {
    const to = source.indexOf(end, at);
    if (to < 0) throw new Error(`no ${end} behind ${at}`);
    const raw = source.slice(at, to);
    at = to;
    return decoded(raw);
  };

  function element(): XmlElement {
    must('<');
    const tag = name();
    const attributes: Record<string, string> = Object.create(null) as Record<string, string>;
    while (take(' ')) {
      const attribute = name();
      if (attribute in attributes) throw new Error(`${attribute} twice`);
      must('="');
      attributes[attribute] = textUntil('"');
      must('"');
    }
    if (take('/>')) return { name: tag, attributes, children: [], text: '' };
    must('>');
    const children: XmlElement[] = [];
    let text = '';
    for (;;) {
      text += textUntil('<');
      if (take('</')) break;
      children.push(element());
    }
    if (name() !== tag) throw new Error(`${tag} is closed by another`);
    must('>');
    return { name: tag, attributes, children, text };
  }

  const root = element();
  if (at !== source.length) throw new Error('text after the end of the document');
  return root;
}

function decoded(raw: string): string {
  if (/[<>]|\]\]>/.test(raw)) throw new Error('markup in a text');
  if (!raw.isWellFormed()) throw new Error('a lone surrogate');
  for (const character of raw) if (!isChar(character.codePointAt(0) ?? 0)) throw new Error('a character XML has not');
  return raw.replaceAll(/&([^;]*);?/g, (reference, word: string) => {
    const known = NAMED.get(word);
    if (known !== undefined && reference.endsWith(';')) return known;
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(word) ?? [];
    const code = hex === undefined ? Number.parseInt(decimal ?? '', 10) : Number.parseInt(hex, 16);
    if (!reference.endsWith(';') || !isChar(code)) throw new Error(`${reference} refers to nothing`);
    return String.fromCodePoint(code);
  });
}

/** XML 1.0, §2.2. */
function isChar(code: number): boolean {
  return (
    code === 0x9 ||
    code === 0xa ||
    code === 0xd ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x1_0000 && code <= 0x10_ffff)
  );
}

export function childrenOf(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

export function textOf(parent: XmlElement, name: string): string | undefined {
  return childrenOf(parent, name)[0]?.text;
}
