import { describe, expect, test } from 'vitest';
import { signRequest, verifyRequest, type PeerKeys } from '#cache/core/peer/auth.ts';
import { checkPeerTerms } from '#cache/core/peer/fill-request.ts';
import { formatReportTerms, isSignedBody, READS_PATH } from '#cache/core/peer/report-request.ts';

const KEYS: PeerKeys = { current: Buffer.alloc(32, 1), previous: undefined };
const NOW = Date.UTC(2026, 0, 1);
const NO_BODY = new Uint8Array(0);
const BODY = Buffer.from('what was read');

function signed(terms: Readonly<Record<string, string>>) {
  const request = { method: 'POST', target: READS_PATH, receiver: '10.0.0.1:8444', headers: terms, body: NO_BODY };
  const headers = { ...terms, ...signRequest(KEYS, request, NOW, 'A'.repeat(22)) };
  return { ...request, headers };
}

describe('the terms of a report', () => {
  test('are those of every call, and the hash of the body', () => {
    const terms = formatReportTerms(BODY);
    expect(() => checkPeerTerms(terms)).not.toThrow();
    expect(terms['x-orca-body-sha256']).toMatch(/^[0-9a-f]{64}$/);
  });

  test('are signed: another hash is another call', () => {
    const request = signed(formatReportTerms(BODY));
    expect(verifyRequest(KEYS, request, NOW).ok).toBe(true);
    const headers = { ...request.headers, ...formatReportTerms(Buffer.from('something else')) };
    expect(verifyRequest(KEYS, { ...request, headers }, NOW)).toEqual({ ok: false, reason: 'mismatch' });
  });

  test('are of one body only', () => {
    const terms = formatReportTerms(BODY);
    expect(isSignedBody(terms, BODY)).toBe(true);
    for (const other of [NO_BODY, BODY.subarray(1), Buffer.concat([BODY, Buffer.alloc(1)])])
      expect(isSignedBody(terms, other)).toBe(false);
    expect(isSignedBody({}, NO_BODY)).toBe(false);
    expect(isSignedBody({ 'x-orca-body-sha256': [terms['x-orca-body-sha256']!] }, BODY)).toBe(false);
  });
});
