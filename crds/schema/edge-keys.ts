/** `keys.yaml`: who may read through the edge, and what. It lies in a Secret; nothing of it is ever shown. */
import type { Infer, Schema } from './json-schema.ts';
import { text } from './field-builders.ts';

/** Guessing a shorter one takes hours, not years. */
const MIN_TOKEN_LENGTH = 16;
/** What S3 tools insist on. */
const MIN_SECRET_LENGTH = 8;
const MAX_LENGTH = 1024;

export const edgeKeys = {
  type: 'array',
  maxItems: 10_000,
  items: {
    type: 'object',
    properties: {
      accessKeyId: text('SigV4: the access key.', { minLength: 3, maxLength: 128 }),
      secretAccessKey: text('SigV4: its secret.', { minLength: MIN_SECRET_LENGTH, maxLength: MAX_LENGTH }),
      sessionToken: text('SigV4: a token that has to come with it.', { minLength: 1, maxLength: 8192 }),
      token: text('Bearer: the token.', { minLength: MIN_TOKEN_LENGTH, maxLength: MAX_LENGTH }),
      buckets: {
        type: 'array',
        description: 'What it may read. Left out: everything that is served.',
        maxItems: 1_000,
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: text('The bucket, as clients call it.', { minLength: 1, maxLength: 63 }),
            prefix: {
              ...text('Only keys that begin with it. Default: the whole bucket.', { maxLength: 1024 }),
              default: '',
            },
          },
        },
      },
    },
  },
} as const satisfies Schema;

export type EdgeKeyWords = Infer<typeof edgeKeys>;
