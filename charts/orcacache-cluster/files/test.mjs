// Runs in the pod of `helm test`: every cache has to answer, if only that one has to say who one is, within a minute.
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';

const PATIENCE_MS = 60_000;
const ANSWER_MS = 5_000;
const PAUSE_MS = 1_000;
/** From here on it is the cache that has failed. */
const SERVER_ERROR = 500;

function statusOf(url) {
  const request = url.startsWith('https:') ? overHttps : overHttp;
  return new Promise((resolve, reject) => {
    // Whether the certificate suits the clients is for them to say.
    request(url, { rejectUnauthorized: false, signal: AbortSignal.timeout(ANSWER_MS) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

async function answers(url) {
  for (const endMs = Date.now() + PATIENCE_MS; ; ) {
    try {
      const status = await statusOf(url);
      if (status < SERVER_ERROR) return console.log(`ok      ${url} answers with ${status}`);
      throw new Error(`status ${status}`);
    } catch (error) {
      if (Date.now() >= endMs) throw new Error(`FAILED  ${url}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

for (const url of process.argv.slice(1)) await answers(url);
