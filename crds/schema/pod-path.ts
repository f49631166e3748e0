/** Builders for the paths and addresses in the pod's config file. */
import { text } from './field-builders.ts';

export const MAX_PATH_LENGTH = 4096;

export const path = (description: string) => text(description, { maxLength: MAX_PATH_LENGTH, minLength: 1 });

export const directory = (description: string) =>
  ({
    type: 'object',
    description,
    required: ['directory'],
    properties: { directory: path('Path of the directory.') },
  }) as const;

export const address = (description: string) =>
  text(description, {
    maxLength: 320,
    pattern: '^([A-Za-z0-9.-]+|[[][0-9A-Fa-f:.]+]):[0-9]{1,5}$',
    message: 'must be host:port, with an IPv6 address in brackets',
  });
