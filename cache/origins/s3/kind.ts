/** S3 servers as origin. */
import { originKind } from '#cache/origins/kind.ts';
import { resolveS3 } from '#cache/wire/s3/settings.ts';
import { s3Origin } from '#crds/kinds/s3.ts';
import { openS3Origin } from './origin.ts';

export const s3 = originKind({
  schema: s3Origin,
  resolve: (fields, context) => ({ ...resolveS3(fields, context), requesterPays: fields.requesterPays }),
  fingerprint: ({ endpoint, region }) => (endpoint === '' ? `s3.${region}.amazonaws.com` : new URL(endpoint).host),
  open: (settings, env) => openS3Origin({ ...settings, env }),
});
