/** An Azure store over a scripted server; both are closed at the end of the test. */
import { onTestFinished } from 'vitest';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { openAzureStore } from '#cache/stores/azure-blob/store.ts';
import { startScriptedServer, type Script, type ScriptedServer } from './scripted-server.ts';

const KEY_VARIABLE = 'ORCA_TEST_AZURE_KEY';

export async function openScriptedAzure(script: Script): Promise<{ server: ScriptedServer; store: ProbedStore }> {
  process.env[KEY_VARIABLE] = 'a2V5';
  const server = await startScriptedServer(script);
  const store = openAzureStore({
    account: 'acme',
    endpoint: `${server.endpoint}/acme`,
    container: 'chunks',
    caFile: '',
    credentials: { kind: 'env', accountKeyVar: KEY_VARIABLE },
  });
  onTestFinished(async () => {
    await store.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, store };
}
