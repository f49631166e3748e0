/** Converts sizes written as Kubernetes quantities (`8Mi`, `1Gi`, `5G`, plain bytes) to bytes and back. Pure. */

/** The CRD's rules use the same pattern. The number of digits is bounded so that the API server's int64 cannot overflow. */
export const QUANTITY_PATTERN = '^([0-9]{1,15}|[0-9]{1,6}(Ki|Mi|Gi|Ti|k|M|G|T))$';

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
};
const WHOLE = new RegExp(QUANTITY_PATTERN);

/** Bytes, or undefined if `value` is not a non-negative whole size that a number represents exactly. */
export function parseQuantity(value: string | number): number | undefined {
  const text = String(value);
  if (!WHOLE.test(text)) return undefined;
  const digits = /^[0-9]+/.exec(text)?.[0] ?? '';
  const sizeBytes = Number(digits) * (UNIT_BYTES[text.slice(digits.length)] ?? Number.NaN);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** QUANTITY_PATTERN allows six digits before a unit. */
const MAX_COUNT = 999_999;

/** The text in the largest binary unit that `parseQuantity` converts back to exactly `sizeBytes`. */
export function formatQuantity(sizeBytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki']) {
    const unitBytes = UNIT_BYTES[unit] ?? 1;
    const count = sizeBytes / unitBytes;
    if (count >= 1 && count <= MAX_COUNT && Number.isInteger(count)) return `${count}${unit}`;
  }
  return String(sizeBytes);
}

/** At most four digits in the largest binary unit that fits: `14.2Ti`. Rounded, for people. */
export function roundQuantity(sizeBytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki']) {
    // Three significant digits, and all of the digits before the point.
    const count = sizeBytes / (UNIT_BYTES[unit] ?? 1);
    const rounded = count < 100 ? Number(count.toPrecision(3)) : Math.round(count);
    if (rounded >= 1) return `${rounded}${unit}`;
  }
  return String(Math.round(sizeBytes));
}

const RESOURCE_UNIT: Readonly<Record<string, number>> = {
  ...UNIT_BYTES,
  m: 1e-3,
  P: 1e15,
  E: 1e18,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A resource quantity, such as `250m` or `1.5Gi`, as a number for comparisons; undefined if it is malformed. */
export function parseResource(value: unknown): number | undefined {
  const [, digits, unit] = /^([0-9]+(?:[.][0-9]*)?(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(String(value)) ?? [];
  const factor = Object.hasOwn(RESOURCE_UNIT, unit ?? '') ? RESOURCE_UNIT[unit ?? ''] : undefined;
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
