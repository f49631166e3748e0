/** Who asks: nobody in particular, a bearer of a token, or the holder of a key that signed. */
import type { IncomingMessage } from 'node:http';
import { OrcaError } from '#cache/core/errors.ts';
import type { Caller, EdgeKey, KeyRing } from '#cache/core/s3/key-ring.ts';
import { signatureOf, verifySignature, type SignedRequest } from '#cache/core/s3/sigv4-verify.ts';
import { authorityOf, type Target } from '#cache/core/s3/request-target.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { hasBody } from '#cache/http/respond.ts';

export type EdgeAuth =
  | { readonly type: 'Anonymous' }
  | { readonly type: 'Bearer' | 'SigV4'; readonly keys: () => KeyRing };

/** Throws auth_* or `forbidden`. */
export function authenticate(auth: EdgeAuth, request: IncomingMessage, target: Target, clock: Clock): Caller {
  switch (auth.type) {
    case 'Anonymous':
      // Clients that insist on signing may; nobody looks at it.
      return {
        label: 'anonymous',
        signed: signatureOf(signedRequest(request, target)) !== undefined,
        grants: undefined,
      };
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

function signedRequest(request: IncomingMessage, { rawPath, rawQuery }: Target): SignedRequest {
  const { method = '', headers } = request;
  // The bucket is taken from an absolute target's authority, and so must the signature's host be: a URL signed for one
  // bucket's name would open another's.
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
