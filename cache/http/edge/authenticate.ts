/** Authenticates the caller: anonymous, by bearer token, or by SigV4 signature. */
import type { IncomingMessage } from 'node:http';
import { OrcaError } from '#cache/core/errors.ts';
import type { Caller, EdgeKey, KeyRing } from '#cache/core/s3/key-ring.ts';
import { authorityOf, type RequestTarget } from '#cache/core/s3/request-target.ts';
import { signatureOf, type SignedRequest } from '#cache/core/s3/sigv4-claim.ts';
import { verifySignature } from '#cache/core/s3/sigv4-verify.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { hasBody } from '#cache/http/respond.ts';

export type EdgeAuth =
  | { readonly type: 'Anonymous' }
  | { readonly type: 'Bearer' | 'SigV4'; readonly keys: () => KeyRing };

const ANONYMOUS: Caller = { label: 'anonymous', signed: false, grants: undefined };
const SIGNED: Caller = { ...ANONYMOUS, signed: true };

/** Throws auth_* or `forbidden`. */
export function authenticate(auth: EdgeAuth, request: IncomingMessage, target: RequestTarget, clock: Clock): Caller {
  switch (auth.type) {
    case 'Anonymous':
      // Clients may sign anyway; the signature is not verified.
      return signatureOf({ headers: request.headers, rawQuery: target.rawQuery }) === undefined ? ANONYMOUS : SIGNED;
    case 'Bearer': {
      const [, token] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
      const key = token === undefined ? undefined : auth.keys().byToken(token);
      if (key === undefined) throw new OrcaError('forbidden', 'Access Denied');
      return callerOf(key);
    }
    case 'SigV4': {
      const signed = signedRequest(request, target);
      if (signatureOf(signed) === undefined) throw new OrcaError('forbidden', 'Access Denied');
      return callerOf(verifySignature(signed, auth.keys(), clock.date()));
    }
  }
}

function callerOf({ label, grants }: EdgeKey): Caller {
  return { label, signed: true, grants };
}

function signedRequest(request: IncomingMessage, { rawPath, rawQuery }: RequestTarget): SignedRequest {
  const { method = '', headers } = request;
  // The authority of an absolute target names the bucket, so the signature must cover it instead of the Host header:
  // otherwise a URL signed for one bucket would give access to another.
  const host = authorityOf(request.url ?? '');
  const joined = Object.entries(headers).map(
    ([name, value]) => [name, Array.isArray(value) ? value.join(',') : value] as const,
  );
  return {
    method,
    rawPath,
    rawQuery,
    headers: { ...Object.fromEntries(joined), ...(host !== undefined && { host }) },
    hasBody: hasBody(request),
  };
}
