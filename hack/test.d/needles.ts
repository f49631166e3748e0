/** Looks for many secrets at once in what was said: each in every form in which it may have been written down. */

export interface Secret {
  /** What is said of it instead of itself. */
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Searcher {
  readonly count: number;
  /** The names of all that stand in `text`. */
  search(text: Buffer): Set<string>;
}

/** What is a secret whoever's it is: it stands for itself, and needs not be known. */
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

/** So many bytes are looked at together before a needle is compared whole; none is shorter. */
const WINDOW_BYTES = 4;
const TABLE_BITS = 16;

export function openSearcher(secrets: readonly Secret[]): Searcher {
  const needles = secrets.flatMap(({ name, bytes }) => formsOf(bytes).map((form) => ({ name, form })));
  /** Of the hashes of four bytes: whether any needle begins so, and by those four bytes which. */
  const begins = new Uint8Array(1 << TABLE_BITS);
  const byStart = new Map<number, typeof needles>();
  for (const needle of needles) {
    const start = needle.form.readUInt32LE(0);
    begins[hashOf(start)] = 1;
    byStart.set(start, [...(byStart.get(start) ?? []), needle]);
  }
  return {
    count: secrets.length,
    search(text) {
      const found = new Set<string>();
      let window = 0;
      for (let at = 0; at < text.length; at++) {
        // The last four bytes, the newest on top.
        window = (window >>> 8) | ((text[at] ?? 0) << 24);
        if (at < WINDOW_BYTES - 1 || begins[hashOf(window >>> 0)] === 0) continue;
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
  // Fibonacci hashing: the upper bits of a product depend on all of the window's.
  return Math.imul(window, 0x9e37_79b1) >>> (32 - TABLE_BITS);
}

/** As it is, in JSON, percent-encoded, in hexadecimal, in both base64s. */
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
