/** Fuzzes the clients' listener as a whole: whatever a request names, it gets one of S3's answers, never a 500. */
import { Agent } from 'node:http';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openKeyRing } from '#cache/core/s3/key-ring.ts';
import { openEngines } from '#test/support/engines.ts';
import { inheritedName, nasty, RUNS } from '#test/support/fuzz.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge } from '#test/support/test-edge.ts';

const AUTHORIZATION = 'AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260102/us-east-1/s3/aws4_request';
const name = fc.oneof(inheritedName, nasty('models', 'a', 'response-', 'versionId', 'tagging', 'x-amz-', '..'));
/** What a client can send as a header's value. */
const value = name.map((text) => text.replaceAll(/[^\x20-\x7e]/g, ''));
const encoded = name.filter((text) => text.isWellFormed()).map(encodeURIComponent);
const request = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'OPTIONS'),
  path: fc.array(fc.oneof(encoded, fc.constantFrom('models', 'a')), { maxLength: 3 }),
  query: fc.array(fc.tuple(encoded, encoded), { maxLength: 3 }),
  signedHeaders: fc.array(value, { minLength: 1, maxLength: 3 }),
  isSigned: fc.boolean(),
  header: fc.tuple(
    fc.oneof(
      inheritedName.map((text) => text.toLowerCase()),
      fc.constantFrom('range', 'if-match', 'x-amz-checksum-mode', 'x-amz-expected-bucket-owner'),
    ),
    value,
  ),
});

test.for(['Anonymous', 'SigV4'] as const)('%s: no request is answered with a 500', async (type) => {
  const { origin, replicas } = openEngines();
  origin.put('far-models', 'a', 'content');
  const secretAccessKey = 'a-secret-that-nobody-guesses';
  const ring = openKeyRing([{ label: 'us', accessKeyId: 'AKIAEXAMPLE', secretAccessKey }]);
  const auth = type === 'Anonymous' ? { type } : { type, keys: () => ring };
  await using edge = await openTestEdge(replicas[0]!.engine, { auth });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, query, signedHeaders, isSigned, header }) => {
      const date = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
      const credential = AUTHORIZATION.replace('20260102', date.slice(0, 8));
      const signature = {
        authorization: `${credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date;${signedHeaders.join(';')}, Signature=${'0'.repeat(64)}`,
        'x-amz-date': date,
        'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      };
      const target = `/${path.join('/')}?${query.map(([name, value]) => `${name}=${value}`).join('&')}`;
      const answer = await http(edge.url, target, {
        method,
        agent,
        headers: { ...Object.fromEntries([header]), ...(isSigned && signature) },
      });
      expect([0, 500]).not.toContain(answer.status);
    }),
    { numRuns: RUNS },
  );
  agent.destroy();
});
