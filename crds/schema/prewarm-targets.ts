/** `targets` of an OrcaPrewarm: the objects that are fetched. */
import { objectName, text } from './field-builders.ts';
import type { Schema } from './json-schema.ts';

/** Of S3, in bytes; the API server counts characters. */
const MAX_KEY_LENGTH = 1024;
/** For one run a person lists a few; more belong in a manifest. */
const MAX_TARGETS = 100;
const MAX_GLOBS = 50;
const MAX_GLOB_LENGTH = 256;

const bucket = (description: string) =>
  text(description, {
    maxLength: 63,
    pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$',
    message:
      "must be a bucket name: 3 to 63 characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or digit",
  });

const globs = (description: string) =>
  ({
    type: 'array',
    description,
    maxItems: MAX_GLOBS,
    'x-kubernetes-list-type': 'atomic',
    items: text('A glob, such as `**/*.safetensors`.', { minLength: 1, maxLength: MAX_GLOB_LENGTH }),
  }) as const;

interface TargetFields {
  readonly prefix?: string;
  readonly manifest?: object;
  readonly keysFrom?: object;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

const onlyWithPrefix = (member: 'include' | 'exclude') =>
  ({
    rule: `!has(self.${member}) || !has(self.manifest) && !has(self.keysFrom)`,
    message: 'must be omitted with manifest or keysFrom, which name every object',
    fieldPath: `.${member}`,
    reads: [member, 'manifest', 'keysFrom'],
    holds: (target: TargetFields) =>
      target[member] === undefined || (target.manifest === undefined && target.keysFrom === undefined),
  }) as const;

export const targets = {
  type: 'array',
  description: 'The objects. They are fetched in this order.',
  minItems: 1,
  maxItems: MAX_TARGETS,
  'x-kubernetes-list-type': 'atomic',
  items: {
    type: 'object',
    required: ['bucket'],
    properties: {
      bucket: bucket('Name of the bucket for clients.'),
      prefix: text(
        'Every object whose key begins so. If this, `manifest` and `keysFrom` are omitted, every object of the bucket.',
        { maxLength: MAX_KEY_LENGTH },
      ),
      include: globs(
        'Globs of which a key must match one: of the part of the key after the prefix. `*` matches within a path segment, ' +
          '`**` any number of them. If omitted, every key matches.',
      ),
      exclude: globs('Globs of which a key must match none; they count before `include`.'),
      manifest: {
        type: 'object',
        description:
          'An object that lists the keys, one per line: each either the key itself or a JSON object such as ' +
          '`{"key": "a/b.bin"}`. It is read through the cache.',
        required: ['bucket', 'key'],
        properties: {
          bucket: bucket('Name of the bucket of the list.'),
          key: text('Key of the list.', { minLength: 1, maxLength: MAX_KEY_LENGTH }),
        },
      },
      keysFrom: {
        type: 'object',
        description: 'Where the keys are listed inside the cluster.',
        required: ['configMapRef'],
        properties: {
          configMapRef: {
            type: 'object',
            description: 'A key of a ConfigMap in the same namespace, whose value has the format of a manifest.',
            required: ['name', 'key'],
            properties: {
              name: objectName('Name of the ConfigMap.'),
              key: text('Key in the ConfigMap.', {
                maxLength: 253,
                pattern: '^[A-Za-z0-9._-]+$',
                message: "must contain only letters, digits, '.', '_' and '-'",
              }),
            },
          },
        },
      },
    },
    'x-kubernetes-validations': [
      {
        rule: '[has(self.prefix), has(self.manifest), has(self.keysFrom)].filter(x, x).size() <= 1',
        message: 'must contain at most one of prefix, manifest and keysFrom; use a target for each',
        reads: ['prefix', 'manifest', 'keysFrom'],
        holds: ({ prefix, manifest, keysFrom }: TargetFields) =>
          [prefix, manifest, keysFrom].filter((member) => member !== undefined).length <= 1,
      },
      onlyWithPrefix('include'),
      onlyWithPrefix('exclude'),
    ],
  },
} as const satisfies Schema;
