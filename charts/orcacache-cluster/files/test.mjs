// Runs in the pod of `helm test`: every cache must respond within a minute. A refusal without credentials counts as a
// response.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

const DEADLINE_MS = 60_000;
const REQUEST_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 1_000;
/** Statuses from here on are failures of the cache; lower ones may only mean that credentials are required. */
const SERVER_ERROR = 500;

function statusOf(url) {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // This test cannot know which CA the clients trust, so it accepts any certificate.
    request(url, { rejectUnauthorized: false, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

async function check(url) {
  for (const endMs = Date.now() + DEADLINE_MS; ; ) {
    try {
      const status = await statusOf(url);
      if (status < SERVER_ERROR) return console.log(`ok      ${url} responded with status ${status}`);
      throw new Error(`status ${status}`);
    } catch (error) {
      if (Date.now() >= endMs) throw new Error(`FAILED  ${url}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
    }
  }
}

for (const url of process.argv.slice(1)) await check(url);
