/** The name of a blob in a list. */
import { XmlError, type XmlElement } from '#cache/wire/xml.ts';

/** A name that XML cannot represent is percent-encoded, with an attribute. Throws XmlError. */
export function blobNameOf({ attributes, text }: XmlElement): string {
  if (!/Encoded\s*=\s*["']true["']/.test(attributes)) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new XmlError('a name that is not percent-encoded', { cause: error });
  }
}
