/** Buckets of S3 servers as cachestore. */
import { storeKind } from '#cache/stores/kind.ts';
import { resolveS3 } from '#cache/wire/s3/settings.ts';
import { s3Store } from '#crds/kinds/s3.ts';
import { openS3Store } from './store.ts';

export const s3 = storeKind({
  schema: s3Store,
  resolve: (fields, context) => ({ ...resolveS3(fields, context), bucket: fields.bucket }),
  open: (settings, env) => openS3Store({ ...settings, env }),
});
