/**
 * The value of a record's own property. Use it wherever a key comes from a request or from another server: a plain look-up
 * of `constructor` or `__proto__` finds what every object inherits.
 */
export function ownValue<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
