/** HTTP servers as origin. */
import { originKind } from '#cache/origins/kind.ts';
import { httpOrigin } from '#crds/kinds/http.ts';
import { openHttpOrigin } from './origin.ts';
import type { HttpOriginSettings } from './settings.ts';

export const http = originKind({
  schema: httpOrigin,
  resolve: ({ urls, redirectHosts, allowLastModified, credentials, caFile }): HttpOriginSettings => ({
    urls: Object.fromEntries(urls.map(({ bucket, baseUrl }) => [bucket, baseUrl.replace(/\/*$/, '/')])),
    redirectHosts,
    allowLastModified,
    credentialsDirectory: credentials?.directory,
    caFile: caFile === '' ? undefined : caFile,
  }),
  // The schema guarantees that all URLs have the same host.
  fingerprint: ({ urls }) => new URL(Object.values(urls)[0] ?? '').host,
  open: (settings, env) => openHttpOrigin({ ...settings, env }),
});
