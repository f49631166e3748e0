import { expect, test } from 'vitest';
import { BUCKET_SUB_RESOURCES, OBJECT_SUB_RESOURCES, rootOf } from '#cache/core/s3/sub-resource.ts';

test.for([
  ['<Tagging/>', 'Tagging'],
  ['<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet/></Tagging>', 'Tagging'],
  ['<?xml version="1.0" encoding="UTF-8"?>\n<Tagging>', 'Tagging'],
  ['\uFEFF<?xml version="1.0"?><ns:Tagging>', 'Tagging'],
  ['', undefined],
  ['body', undefined],
  ['{"Tagging": []}', undefined],
  ['<!-- comment --><Tagging/>', undefined],
] as const)('the root element of %s is %s', ([document, root]) => {
  expect(rootOf(document)).toBe(root);
});

test('documents about permissions and about the targets of replication, logs and events are not read through', () => {
  const names = [...Object.keys(BUCKET_SUB_RESOURCES), ...Object.keys(OBJECT_SUB_RESOURCES)];
  for (const name of [
    'acl',
    'policy',
    'policyStatus',
    'logging',
    'notification',
    'replication',
    'inventory',
    'uploads',
  ])
    expect(names).not.toContain(name);
});
