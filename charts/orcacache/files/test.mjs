// Runs in the pod of `helm test`: each check is repeated until it succeeds, for at most a minute.
import { readFileSync } from 'node:fs';

const DEADLINE_MS = 60_000;
const REQUEST_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 1_000;
const token = readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8');

async function expectBody(url, expected, headers = {}) {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  const text = await response.text();
  if (response.ok && text.includes(expected)) return;
  throw new Error(`${url}: status ${response.status}, expected a body with ${expected}`);
}

async function check(description, attempt) {
  for (const endMs = Date.now() + DEADLINE_MS; ; ) {
    try {
      await attempt();
      return console.log(`ok      ${description}`);
    } catch (error) {
      if (Date.now() < endMs) await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
      else throw new Error(`FAILED  ${description}`, { cause: error });
    }
  }
}

await check('the API server serves OrcaCaches', () =>
  expectBody('https://kubernetes.default.svc/apis/orcacache.dev/v1alpha1', '"OrcaCache"', {
    authorization: `Bearer ${token}`,
  }),
);
const metrics = process.env.METRICS_URL;
if (metrics !== undefined)
  await check('the operator responds', () => expectBody(metrics, 'orcacache_operator_build_info{'));
