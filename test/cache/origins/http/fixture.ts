/** An HTTP origin in front of a scripted server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { openHttpOrigin, type HttpOriginOptions } from '#cache/origins/http/origin.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

export const { signal } = new AbortController();
export const object = { originId: 'o', bucket: 'bucket', key: 'key', etag: 'e1', sizeBytes: 100 };
export const range = { from: 10, to: 20 };
export const TEN = '0123456789';
export const MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT';

export function openOrigin(baseUrl: string, over: Partial<HttpOriginOptions> = {}): Origin {
  const origin = openHttpOrigin({
    urls: { bucket: baseUrl },
    allowLastModified: false,
    redirectHosts: [],
    credentialsDirectory: undefined,
    caFile: undefined,
    env: {},
    ...over,
  });
  onTestFinished(() => origin.close());
  return origin;
}

export async function serve(script: Script, tls?: TlsOptions): Promise<ScriptedServer> {
  const server = await startScriptedServer(script, tls);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

export async function open(
  script: Script,
  over: Partial<HttpOriginOptions> = {},
): Promise<{ server: ScriptedServer; origin: Origin }> {
  const server = await serve(script);
  return { server, origin: openOrigin(`${server.endpoint}/base/`, over) };
}

/** Answers a HEAD: the length is the object's, and no body follows. */
export function headed(headers: Readonly<Record<string, string>> = {}): Buffer {
  return reply('200 OK', { etag: '"e1"', 'content-length': '100', ...headers });
}

/** Answers a read of `range`. */
export function partial(headers: Readonly<Record<string, string>> = {}, body = TEN): Buffer {
  return reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 10-19/100', ...headers }, body);
}

export async function secret(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'orca-http-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  return directory;
}
