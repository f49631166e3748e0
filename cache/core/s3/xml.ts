/** S3's error document, written by hand: literal tags, no namespace, as every client's parser expects. */

export function escapeXml(text: string): string {
  return text.replaceAll(/[&<>"'\p{Cc}\uFFFE\uFFFF]/gu, (character) => {
    switch (character) {
      case '&':
        return '&amp;';
      case '<':
        return '&lt;';
      case '>':
        return '&gt;';
      case '"':
        return '&quot;';
      case "'":
        return '&apos;';
      default:
        return `&#x${character.charCodeAt(0).toString(16)};`;
    }
  });
}

/** Without what XML 1.0 has no way to write (§2.2): most control characters, lone surrogates, U+FFFE and U+FFFF. */
function speakable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, (character) =>
      /[\t\n\r\u007F-\u009F]/.test(character) ? character : '\uFFFD',
    );
}

/** `<Error>` with its fields in order; undefined ones are left out. Always well-formed. */
export function errorDocument(fields: Readonly<Record<string, string | number | undefined>>): string {
  const body = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<${name}>${escapeXml(speakable(String(value)))}</${name}>`)
    .join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${body}</Error>`;
}
