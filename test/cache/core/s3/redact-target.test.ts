import { expect, test } from 'vitest';
import { redactTarget } from '#cache/core/s3/redact-target.ts';

test.for([
  ['/b/k', '/b/k'],
  ['/b/k?versionId=v&x=', '/b/k?versionId=v&x='],
  [
    '/b/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=AKIA%2F1&X-Amz-Signature=abc&X-Amz-Security-Token=t',
    '/b/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&X-Amz-Security-Token=[redacted]',
  ],
  ['/b/k?x%2Damz%2Dsignature=abc', '/b/k?x%2Damz%2Dsignature=[redacted]'],
  ['/b/k?X%2dAMZ-Signature=a?b', '/b/k?X%2dAMZ-Signature=[redacted]'],
  ['/b/k?AWSAccessKeyId=a&Signature=b&Expires=1', '/b/k?AWSAccessKeyId=[redacted]&Signature=[redacted]&Expires=1'],
  ['/b/k?sig=abc&se=2094', '/b/k?sig=[redacted]&se=2094'],
  ['/b/k?X-Amz-Signature', '/b/k?X-Amz-Signature'],
  ['/b/k?%=a&%ff=b', '/b/k?%=a&%ff=b'],
  ['https://user:secret@host/p?token=t', 'https://[redacted]@host/p?token=[redacted]'],
] as const)('%s is logged as %s', ([target, logged]) => {
  expect(redactTarget(target)).toBe(logged);
});
