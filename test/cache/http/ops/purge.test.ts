/** The purge API and its client, without a network: whatever a key contains, what was signed is what is verified. */
import { randomBytes } from 'node:crypto';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { NONCE_BYTES, signRequest } from '#cache/core/peer/auth.ts';
import { formatPurgeTarget, parsePurgeQuery, PURGE_PATH, type PurgeRequest } from '#cache/core/peer/purge-request.ts';
import type { PeerAddress } from '#cache/engine/ports.ts';
import { purgeHandler } from '#cache/http/ops/purge.ts';
import { peerSet } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const SELF = '10.0.0.1:8444' as PeerAddress;
const KEYS = { current: Buffer.alloc(32, 1), previous: undefined };
/** In UTF-16 code units; each needs at most 3 bytes of the 2 048 that a key may have. */
const UNITS_PER_KEY = 600;

function open() {
  const clock = fakeClock();
  const purged: PurgeRequest[] = [];
  const peers = { current: () => peerSet(SELF, [SELF]) };
  const app = new Hono();
  const purge = (request: PurgeRequest) => void purged.push(request);
  const purgeChunks = async (request: PurgeRequest) => {
    purged.push(request);
    return { chunks: 3, bytes: 24 };
  };
  app.post(
    PURGE_PATH,
    purgeHandler({ keys: { current: () => KEYS }, peers: peers as never, purge, purgeChunks, clock }),
  );
  /** As `purge` of the command line; `fetch` makes a Request of its URL too. */
  const signed = (request: PurgeRequest) => {
    const target = formatPurgeTarget(request);
    const toSign = { method: 'POST', target, receiver: SELF, headers: {}, body: new Uint8Array(0) };
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    const headers = signRequest(KEYS, toSign, clock.date(), nonce);
    return { url: `http://127.0.0.1:8442${target}`, headers };
  };
  const respond = async ({ url, headers }: ReturnType<typeof signed>) =>
    app.request(new Request(url, { method: 'POST', headers }));
  const send = async (request: ReturnType<typeof signed>) => (await respond(request)).status;
  return { purged, signed, send, respond };
}

/** Every character of Unicode, in order. */
function* allCharacters(): Generator<string> {
  let key = '';
  for (let code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    key += String.fromCodePoint(code);
    if (key.length < UNITS_PER_KEY) continue;
    yield key;
    key = '';
  }
  yield key;
}

test('any text is a bucket and a key', async () => {
  const { purged, signed, send } = open();
  const [latin = '', ...others] = allCharacters();
  const awkward = ["it's", 'a+b', '%2F', '%27', 'a b', '!*()~', '../..', '?#&=;', '"<>`{}|\\^', '\0\t\r\n', '😀'];
  for (const key of [...awkward, latin, others[10]!, others.at(-1)!]) {
    const request = { bucket: key.slice(0, 50), key };
    expect([key, await send(signed(request))]).toEqual([key, 204]);
    expect(purged.at(-1)).toEqual(request);
  }
});

test('no character of Unicode is changed by a URL parser, and each is parsed to what it was', () => {
  for (const key of allCharacters()) {
    const target = formatPurgeTarget({ bucket: 'models', key });
    const { pathname, search } = new URL(target, 'http://127.0.0.1');
    if (pathname + search !== target || parsePurgeQuery(search.slice(1)).key !== key)
      expect.fail(`differs for the key from U+${key.codePointAt(0)!.toString(16)}`);
  }
});

test('a key that is not Unicode is refused by name', () => {
  expect(() => formatPurgeTarget({ bucket: 'models', key: 'a\ud800' })).toThrow(/key must be Unicode text/);
});

test('a changed request and a repeated one are refused', async () => {
  const { purged, signed, send } = open();
  const request = signed({ bucket: 'models', key: "it's" });
  expect(await send({ ...request, url: request.url.replace('it%27s', 'hers') })).toBe(401);
  expect([await send(request), await send(request)]).toEqual([204, 401]);
  expect(purged).toEqual([{ bucket: 'models', key: "it's" }]);
});

test('with chunks the response has what was deleted, and the signature covers it', async () => {
  const { purged, signed, send, respond } = open();
  const request = { bucket: 'b', key: 'k', chunks: true };
  const response = await respond(signed(request));
  expect([response.status, await response.json()]).toEqual([200, { deletedChunks: 3, deletedBytes: 24 }]);
  expect(purged).toEqual([request]);
  const { url, headers } = signed({ bucket: 'b', key: 'k' });
  expect(await send({ url: `${url}&chunks=true`, headers })).toBe(401);
  expect(() => parsePurgeQuery('bucket=b&key=k&chunks=yes')).toThrow('chunks must be true');
});
