/** Signatures that plain openssl verifies, and the DSSE envelope of the provenance. */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface SigningKey {
  /** SHA-256 over the bytes for ECDSA, none for Ed25519. */
  sign(bytes: Buffer): Buffer;
  /** As PEM. */
  readonly publicKey: string;
}

export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly sig: string }[];
}

export class KeyError extends Error {}

export function readSigningKey(file: string): SigningKey {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    throw new KeyError(`--sign-key ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return signingKeyOf(pem, file);
}

/** The message never contains the key. */
export function signingKeyOf(pem: string, file: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new KeyError(`--sign-key ${file} is not an unencrypted private key in PEM format`, { cause: error });
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType !== 'ed25519' && curve !== 'prime256v1')
    throw new KeyError(
      `--sign-key ${file} is of type ${key.asymmetricKeyType} ${curve ?? ''}; Ed25519 or ECDSA P-256 is required: openssl genpkey -algorithm ed25519`,
    );
  return {
    sign: (bytes) => sign(digestOf(key), bytes, key),
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }),
  };
}

const digestOf = (key: KeyObject): 'sha256' | null => (key.asymmetricKeyType === 'ed25519' ? null : 'sha256');

/** What a DSSE signature covers: the "pre-authentication encoding". */
export function signedBytes(payloadType: string, payload: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `),
    payload,
  ]);
}

export function envelopeOf(payloadType: string, payload: Buffer, key: SigningKey): Envelope {
  const sig = key.sign(signedBytes(payloadType, payload)).toString('base64');
  return { payloadType, payload: payload.toString('base64'), signatures: [{ sig }] };
}

export function verifies(bytes: Buffer, signature: Buffer, publicKey: string): boolean {
  const key = createPublicKey(publicKey);
  return verify(digestOf(key), bytes, key, signature);
}
