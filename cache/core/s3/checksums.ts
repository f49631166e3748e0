/** Checksum headers: which of them are true of the bytes in a response. */

const PREFIX = 'x-amz-checksum-';
const TYPE = 'x-amz-checksum-type';
/** The checksum of the parts' checksums, which no body can be compared with: S3 appends the number of parts. */
const OF_PARTS = /-\d+$/;

/** The checksums of all bytes that a response describes; empty without any. */
export function bodyChecksums(headers: Readonly<Record<string, string>>): Record<string, string> {
  const found = Object.entries(headers).filter(
    ([name, value]) => name.startsWith(PREFIX) && name !== TYPE && !OF_PARTS.test(value),
  );
  if (found.length === 0) return {};
  const type = headers[TYPE];
  return { ...Object.fromEntries(found), ...(type !== undefined && { [TYPE]: type }) };
}

/**
 * The checksums that the origin reports for one part. A server that reports the object's for each of its parts would make
 * every client reject the part.
 */
export function partChecksums(
  part: Readonly<Record<string, string>>,
  whole: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = Object.entries(part).filter(([name, value]) => name === TYPE || whole[name] !== value);
  return bodyChecksums(Object.fromEntries(own));
}
