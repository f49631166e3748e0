/** TLS trust: the system's certificate authorities, and those of a private bundle. */
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { OrcaError } from '#cache/core/errors.ts';

/** `caFile` is a PEM bundle; empty = only the system's certificate authorities. */
export function openTrust(caFile: string): SecureContext | undefined {
  if (caFile === '') return undefined;
  const ca = trustOf(caFile);
  try {
    return createSecureContext({ ca });
  } catch (error) {
    throw new OrcaError('internal', `the CA bundle ${caFile} can't be used`, { cause: error });
  }
}

/** The PEM certificates of the system and of the bundle. */
export function trustOf(caFile: string): string[] {
  let pem: string;
  try {
    pem = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw new OrcaError('internal', `the CA bundle ${caFile} can't be read`, { cause: error });
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new OrcaError('internal', `${caFile} contains no PEM certificate`);
  return [...getCACertificates('default'), pem];
}
