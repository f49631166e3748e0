/** Searches text for many secrets at once, each in every encoding in which a program may have written it. */

export interface Secret {
  /** Identifies the secret in messages, which must not contain it. */
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Searcher {
  readonly count: number;
  /** The names of the secrets that `text` contains. */
  search(text: Buffer): Set<string>;
}

/** Text that is a secret by its form, even if the tests do not know it. */
const PATTERNS: readonly (readonly [string, RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['the signature of a request', /Signature=[0-9a-f]{64}/],
  ['a session token in a URL', /X-Amz-Security-Token=(?!\[redacted\])[^&\s"']{8}/i],
  ['a SAS signature', /[?&]sig=(?!\[redacted\])[A-Za-z0-9%+/=_-]{20}/],
  ['an account key in a connection string', /AccountKey=[A-Za-z0-9+/=]{20}/],
  ['a bearer token', /\bBearer [A-Za-z0-9._~+/-]{12}/],
  ['a SharedKey signature', /SharedKey [a-z0-9]+:[A-Za-z0-9+/=]{20}/],
  ['a MAC between replicas', /x-orca-mac["':\s]+[A-Za-z0-9_-]{43}/i],
];

/** The number of bytes that must match before the whole needle is compared; no needle is shorter. */
const WINDOW_BYTES = 4;
const TABLE_BITS = 16;

export function openSearcher(secrets: readonly Secret[]): Searcher {
  const needles = secrets.flatMap(({ name, bytes }) => formsOf(bytes).map((form) => ({ name, form })));
  /** By hash of four bytes: whether any needle starts with them. */
  const startHashes = new Uint8Array(1 << TABLE_BITS);
  /** The needles by their first four bytes. */
  const byStart = new Map<number, typeof needles>();
  for (const needle of needles) {
    const start = needle.form.readUInt32LE(0);
    startHashes[hashOf(start)] = 1;
    byStart.set(start, [...(byStart.get(start) ?? []), needle]);
  }
  return {
    count: secrets.length,
    search(text) {
      const found = new Set<string>();
      let window = 0;
      for (let at = 0; at < text.length; at++) {
        // The last four bytes, the most recent one in the highest bits.
        window = (window >>> 8) | ((text[at] ?? 0) << 24);
        if (at < WINDOW_BYTES - 1 || startHashes[hashOf(window >>> 0)] === 0) continue;
        const from = at - WINDOW_BYTES + 1;
        for (const { name, form } of byStart.get(window >>> 0) ?? [])
          if (text.subarray(from, from + form.length).equals(form)) found.add(name);
      }
      const characters = text.toString('latin1');
      for (const [name, pattern] of PATTERNS) if (pattern.test(characters)) found.add(name);
      return found;
    },
  };
}

function hashOf(window: number): number {
  // Fibonacci hashing: the upper bits of the product depend on all bits of the window.
  return Math.imul(window, 0x9e37_79b1) >>> (32 - TABLE_BITS);
}

/** Verbatim, in JSON, percent-encoded, in hexadecimal, in base64 and in base64url. */
function formsOf(secret: Buffer): Buffer[] {
  const text = secret.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(secret);
  const texts = [
    secret.toString('hex'),
    secret.toString('hex').toUpperCase(),
    secret.toString('base64').replace(/=+$/, ''),
    secret.toString('base64url'),
    ...(isText ? [JSON.stringify(text).slice(1, -1), encodeURIComponent(text)] : []),
  ];
  const forms = new Map(
    [secret, ...texts.map((form) => Buffer.from(form))].map((form) => [form.toString('latin1'), form]),
  );
  return [...forms.values()].filter(({ length }) => length >= WINDOW_BYTES);
}
