/** Schema of `keys.yaml`: the keys of clients and what each may read. The file is a Secret; no value of it is ever logged. */
import { text, withDefault } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

/** A shorter token could be guessed in hours rather than years. */
const MIN_TOKEN_LENGTH = 16;
/** The minimum that S3 tools accept. */
const MIN_SECRET_LENGTH = 8;
const MAX_LENGTH = 1024;

export const edgeKeys = {
  type: 'array',
  maxItems: 10_000,
  items: {
    type: 'object',
    properties: {
      accessKeyId: text('Access key, for SigV4.', { minLength: 3, maxLength: 128 }),
      secretAccessKey: text('Secret of the access key, for SigV4.', {
        minLength: MIN_SECRET_LENGTH,
        maxLength: MAX_LENGTH,
      }),
      sessionToken: text('Session token that a SigV4 request must carry.', { minLength: 1, maxLength: 8192 }),
      token: text('Token, for Bearer.', { minLength: MIN_TOKEN_LENGTH, maxLength: MAX_LENGTH }),
      buckets: {
        type: 'array',
        description: 'What the key may read. If omitted, every bucket.',
        maxItems: 1_000,
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: text('Name of the bucket for clients, or a pattern such as `team-*`.', {
              minLength: 1,
              maxLength: 63,
            }),
            prefix: withDefault(
              text('Limits the key to object keys that begin with this prefix.', { maxLength: 1024 }),
              '',
              'which allows the whole bucket',
              'empty',
            ),
          },
        },
      },
    },
  },
} as const satisfies Schema;
