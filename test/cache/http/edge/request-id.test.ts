import { expect, test } from 'vitest';
import { newRequestId } from '#cache/http/edge/request-id.ts';

test('request IDs look like those of S3, and do not repeat', () => {
  const ids = Array.from({ length: 100_000 }, newRequestId);
  for (const id of ids.slice(0, 1_000)) expect(id).toMatch(/^[0-9A-F]{16}$/);
  expect(new Set(ids).size).toBe(ids.length);
});
