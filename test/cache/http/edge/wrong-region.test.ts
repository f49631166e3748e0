/** A bucket in another region: the answer names it, through any replica. */
import { afterEach, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openEngines, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const edges: TestEdge[] = [];
afterEach(async () => {
  for (const edge of edges.splice(0)) await edge[Symbol.asyncDispose]();
});

test('the error document of an object and of a list has the region, also if another replica asked the origin', async () => {
  const clock = fakeClock();
  const { origin, replicas } = openEngines({ clock, replicas: 3 });
  const error = new OrcaError('origin_wrong_region', 'internal', { fields: { Region: 'eu-west-1' } });
  origin.inject({ on: 'head', times: 10, what: error });
  origin.inject({ on: 'list', times: 10, what: error });
  for (const { engine } of replicas) {
    const edge = await openTestEdge(engine);
    edges.push(edge);
    for (const path of ['/models/key', '/models?list-type=2']) {
      const { status, body } = await whileTimePasses(clock, http(edge.url, path));
      expect(status).toBe(502);
      expect(String(body)).toMatch(/<Code>OriginWrongRegion<\/Code>.*<Region>eu-west-1<\/Region>/);
      expect(String(body)).not.toContain('internal');
    }
  }
});
