/** The `Authorization` header for an HTTP origin, from a mounted Secret that is read again when it changes. */
import { OrcaError } from '#cache/core/errors.ts';
import { openSecretDirectory } from '#cache/wire/secret-directory.ts';
import type { Soon } from '#shared/soon.ts';

/** Undefined = no header. Rejects with an OrcaError that names the file, never its content. */
export type Authorization = () => Soon<string | undefined>;

/** Nothing is read before the first call. */
export function openAuthorization(directory: string | undefined): Authorization {
  if (directory === undefined) return async () => undefined;
  return openSecretDirectory({
    path: directory,
    files: ['token', 'username', 'password'],
    parse([token, username, password]) {
      if (token !== undefined && password !== undefined)
        throw new OrcaError('internal', `${directory} contains both token and password: remove one of them`);
      if (token !== undefined) return bearer(token, `${directory}/token`);
      if (password !== undefined) return basic(username ?? '', password, `${directory}/username`);
      throw new OrcaError('internal', `${directory} contains neither token nor password`);
    },
  });
}

/** Printable ASCII: a line break would start another header. */
function bearer(token: string, place: string): string {
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new OrcaError('internal', `${place} is not a token: it must be printable ASCII without spaces`);
  return `Bearer ${token}`;
}

/** RFC 7617: the first colon ends the username. */
function basic(username: string, password: string, place: string): string {
  if (username.includes(':')) throw new OrcaError('internal', `${place} must not contain a colon`);
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
