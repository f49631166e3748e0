import { expect, test } from 'vitest';
import { bodyChecksums, partChecksums } from '#cache/core/s3/checksums.ts';

const CRC = 'x-amz-checksum-crc32';
const TYPE = 'x-amz-checksum-type';

test('the checksum of a whole object is that of its body', () => {
  expect(bodyChecksums({ [CRC]: 'AAAAAA==', [TYPE]: 'FULL_OBJECT', 'content-type': 'text/x' })).toEqual({
    [CRC]: 'AAAAAA==',
    [TYPE]: 'FULL_OBJECT',
  });
});

test('a checksum of checksums is not that of a body', () => {
  expect(bodyChecksums({ [CRC]: 'AAAAAA==-3', [TYPE]: 'COMPOSITE' })).toEqual({});
});

test('a part has the checksum that the origin reports for it', () => {
  const whole = { [CRC]: 'AAAAAA==-3', [TYPE]: 'COMPOSITE' };
  expect(partChecksums({ [CRC]: 'BBBBBB==', [TYPE]: 'COMPOSITE' }, whole)).toEqual({
    [CRC]: 'BBBBBB==',
    [TYPE]: 'COMPOSITE',
  });
});

test.for([
  ['the object’s', { [CRC]: 'AAAAAA==', [TYPE]: 'FULL_OBJECT' }],
  ['a checksum of checksums', { [CRC]: 'CCCCCC==-3', [TYPE]: 'COMPOSITE' }],
  ['none', {}],
] as const)('a part whose reported checksum is %s has none', ([, reported]) => {
  expect(partChecksums(reported as Record<string, string>, { [CRC]: 'AAAAAA==', [TYPE]: 'FULL_OBJECT' })).toEqual({});
});
