/** S3's error document, without a namespace as clients expect it, and XML escaping. */

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

/** Replaces characters that XML 1.0 cannot represent (§2.2): most control characters, lone surrogates, U+FFFE, U+FFFF. */
function replaceUnrepresentable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, (character) =>
      /[\t\n\r\u007F-\u009F]/.test(character) ? character : '\uFFFD',
    );
}

/** `<Error>` with its fields in order, without undefined ones. Always well-formed XML. */
export function errorDocument(fields: Readonly<Record<string, string | number | undefined>>): string {
  const body = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<${name}>${escapeXml(replaceUnrepresentable(String(value)))}</${name}>`)
    .join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${body}</Error>`;
}
