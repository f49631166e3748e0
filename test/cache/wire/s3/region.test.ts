import { expect, test } from 'vitest';
import { faultOf } from '#cache/wire/s3/client.ts';
import { regionError } from '#cache/wire/s3/region.ts';

const named = (status: number, xml: string, headers: Record<string, string> = {}): string | undefined =>
  regionError(status, faultOf(Buffer.from(`<Error>${xml}</Error>`)), headers)?.region;

const REDIRECT =
  '<Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be addressed using the ' +
  'specified endpoint.</Message><Bucket>b</Bucket>';

test.for([
  ['301 with a header', 301, REDIRECT, { 'x-amz-bucket-region': 'eu-west-1' }, 'eu-west-1'],
  ['301 without a document', 301, '', { 'x-amz-bucket-region': 'eu-west-1' }, 'eu-west-1'],
  ['301 with an endpoint', 301, `${REDIRECT}<Endpoint>b.s3-eu-west-1.amazonaws.com</Endpoint>`, {}, 'eu-west-1'],
  [
    'an endpoint of today',
    301,
    `${REDIRECT}<Endpoint>b.s3.ap-southeast-2.amazonaws.com</Endpoint>`,
    {},
    'ap-southeast-2',
  ],
  ['an endpoint without a region', 301, `${REDIRECT}<Endpoint>s3.amazonaws.com</Endpoint>`, {}, ''],
  ['307 with a header', 307, '<Code>TemporaryRedirect</Code>', { 'x-amz-bucket-region': 'eu-west-1' }, 'eu-west-1'],
  [
    '400 with an element',
    400,
    "<Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>" +
      '<Region>eu-west-1</Region>',
    {},
    'eu-west-1',
  ],
  [
    '400 with a message only',
    400,
    "<Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'garage'</Message>",
    {},
    'garage',
  ],
  [
    'an opt-in region',
    400,
    '<Code>IllegalLocationConstraintException</Code><Message>The af-south-1 location constraint is incompatible for the ' +
      'region specific endpoint this request was sent to.</Message>',
    {},
    'af-south-1',
  ],
] as const)('%s', ([, status, xml, headers, region]) => {
  expect(named(status, xml, headers)).toBe(region);
});

test.for([
  ['a malformed header that is not about the region', 400, '<Code>AuthorizationHeaderMalformed</Code>', {}],
  ['a redirect of a proxy', 301, '<html>', { location: 'https://login.example.org/' }],
  ['a temporary redirect', 307, '<Code>TemporaryRedirect</Code>', {}],
  [
    'a missing key in a bucket whose region is reported',
    404,
    '<Code>NoSuchKey</Code>',
    { 'x-amz-bucket-region': 'eu-west-1' },
  ],
] as const)('%s is no error of the region', ([, status, xml, headers]) => {
  expect(named(status, xml, headers)).toBeUndefined();
});

test('what is not a region name is not repeated', () => {
  expect(named(301, REDIRECT, { 'x-amz-bucket-region': '<script>' })).toBe('');
});
