import { expect, it } from 'vitest';
import { freePort, freePorts } from '#hack/lab/free-ports.ts';

const CALLS = 300;
const TOGETHER = 4;

it('no port is given twice, also to concurrent calls, and all lie below the ephemeral and the NodePort range', async () => {
  const [single, first] = await Promise.all([
    Promise.all(Array.from({ length: CALLS }, () => freePort())),
    Promise.all(Array.from({ length: CALLS }, () => freePorts(TOGETHER))),
  ]);
  const together = first.flatMap((port) => Array.from({ length: TOGETHER }, (_, index) => port + index));
  const ports = [...single, ...together];
  expect(new Set(ports).size).toBe(CALLS * (1 + TOGETHER));
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(10_000);
  expect(Math.max(...ports)).toBeLessThan(30_000);
});
