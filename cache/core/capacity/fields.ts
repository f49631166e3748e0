/** Checked access to JSON that another replica or another program has written. */

export type Fields = Readonly<Record<string, unknown>>;

/** Undefined for anything but an object. */
export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Undefined for bytes that are not a JSON object in UTF-8. */
export function parseFields(bytes: Uint8Array): Fields | undefined {
  try {
    return fieldsOf(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Also a sum of sizes, and a time in ms. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isOptionalCount(value: unknown): value is number | undefined {
  return value === undefined || isCount(value);
}

export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= maxLength && value.isWellFormed();
}

export function isArrayUpTo(value: unknown, maxItems: number): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= maxItems;
}

/** The identifier of an origin has at most 63 characters, which all are allowed in a file name. */
export function isOriginId(value: unknown): value is string {
  return typeof value === 'string' && /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(value);
}

/** `epoch` of a PeerSet. */
export function isEpoch(value: unknown): value is string {
  return isText(value, 64);
}
