// Runs in the pod of `helm test`: every question is asked until it is answered, or for a minute.
import { readFileSync } from 'node:fs';

const PATIENCE_MS = 60_000;
const ANSWER_MS = 5_000;
const PAUSE_MS = 1_000;
const token = readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8');

async function answer(url, wanted, headers = {}) {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_MS) });
  const text = await response.text();
  if (response.ok && text.includes(wanted)) return;
  throw new Error(`status ${response.status}, without ${wanted}`);
}

async function ask(what, look) {
  for (const endMs = Date.now() + PATIENCE_MS; ; ) {
    try {
      await look();
      return console.log(`ok      ${what}`);
    } catch (error) {
      if (Date.now() < endMs) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      else throw new Error(`FAILED  ${what}`, { cause: error });
    }
  }
}

await ask('the API server serves OrcaCaches', () =>
  answer('https://kubernetes.default.svc/apis/orcacache.dev/v1alpha1', '"OrcaCache"', { authorization: `Bearer ${token}` }),
);
const metrics = process.env.METRICS_URL;
if (metrics !== undefined)
  await ask('the operator runs', () => answer(metrics, 'orcacache_operator_build_info{'));
