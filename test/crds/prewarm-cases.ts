/** Invalid and valid OrcaPrewarms, as `cases.ts` has caches. */
import type { BadCase, Case } from './cases.ts';

const BUCKET = 'models';
const MANIFEST = { bucket: 'lists', key: 'epoch-1.txt' };
const KEYS_FROM = { configMapRef: { name: 'keys', key: 'list' } };
const target = (fields: object) => ({ 'spec.targets': [{ bucket: BUCKET, ...fields }] });
const at = (path: string): string => `spec.targets[0].${path}`;
const schedule = (text: string): BadCase => ({
  name: `the schedule ${text}`,
  changes: { 'spec.schedule': text },
  path: 'spec.schedule',
});

export const badPrewarms: readonly BadCase[] = [
  { name: 'a name of 64 characters', changes: { 'metadata.name': 'm'.repeat(64) }, path: 'metadata.name' },
  { name: 'no cache', changes: { 'spec.cacheRef': undefined }, path: 'spec.cacheRef' },
  { name: 'a malformed name of a cache', changes: { 'spec.cacheRef.name': 'Models' }, path: 'spec.cacheRef.name' },
  { name: 'no targets', changes: { 'spec.targets': [] }, path: 'spec.targets' },
  {
    name: '101 targets',
    changes: { 'spec.targets': Array.from({ length: 101 }, () => ({ bucket: BUCKET })) },
    path: 'spec.targets',
  },
  { name: 'a target without a bucket', changes: { 'spec.targets': [{ prefix: 'a' }] }, path: at('bucket') },
  { name: 'a pattern of buckets', changes: target({ bucket: 'team-*' }), path: at('bucket') },
  { name: 'a prefix and a manifest', changes: target({ prefix: '', manifest: MANIFEST }), path: 'spec.targets[0]' },
  {
    name: 'a manifest and a ConfigMap',
    changes: target({ manifest: MANIFEST, keysFrom: KEYS_FROM }),
    path: 'spec.targets[0]',
  },
  { name: 'globs for a manifest', changes: target({ manifest: MANIFEST, include: ['*'] }), path: at('include') },
  { name: 'globs for a ConfigMap', changes: target({ keysFrom: KEYS_FROM, exclude: ['*'] }), path: at('exclude') },
  { name: 'an empty glob', changes: target({ include: [''] }), path: at('include[0]') },
  { name: 'a glob of 257 characters', changes: target({ exclude: ['a'.repeat(257)] }), path: at('exclude[0]') },
  {
    name: '51 globs',
    changes: target({ include: Array.from({ length: 51 }, (_, index) => `${index}/**`) }),
    path: at('include'),
  },
  { name: 'a prefix of 1025 characters', changes: target({ prefix: 'p'.repeat(1025) }), path: at('prefix') },
  {
    name: 'a malformed bucket of a manifest',
    changes: target({ manifest: { ...MANIFEST, bucket: 'a/b' } }),
    path: at('manifest.bucket'),
  },
  {
    name: 'an empty key of a manifest',
    changes: target({ manifest: { ...MANIFEST, key: '' } }),
    path: at('manifest.key'),
  },
  {
    name: 'a malformed name of a ConfigMap',
    changes: target({ keysFrom: { configMapRef: { name: 'Keys', key: 'list' } } }),
    path: at('keysFrom.configMapRef.name'),
  },
  {
    name: 'a key of a ConfigMap with a slash',
    changes: target({ keysFrom: { configMapRef: { name: 'keys', key: 'a/b' } } }),
    path: at('keysFrom.configMapRef.key'),
  },
  {
    name: 'a rate below a chunk per second',
    changes: { 'spec.maxBytesPerSecond': '1023Ki' },
    path: 'spec.maxBytesPerSecond',
  },
  { name: 'a rate with a time', changes: { 'spec.maxBytesPerSecond': '500Mi/s' }, path: 'spec.maxBytesPerSecond' },
  { name: 'no parallelism', changes: { 'spec.parallelism': 0 }, path: 'spec.parallelism' },
  { name: 'a parallelism of 1025', changes: { 'spec.parallelism': 1025 }, path: 'spec.parallelism' },
  { name: 'a pin in days', changes: { 'spec.pin': { ttl: '7d' } }, path: 'spec.pin.ttl' },
  { name: 'a pin for a second', changes: { 'spec.pin': { ttl: '1s' } }, path: 'spec.pin.ttl' },
  schedule('0 2 * *'),
  schedule('0 0 2 * * *'),
  schedule('60 2 * * *'),
  schedule('0 24 * * *'),
  schedule('0 2 0 * *'),
  schedule('0 2 * 13 *'),
  schedule('0 2 * * 8'),
  schedule('0 2 * * Mon'),
  schedule('*/0 * * * *'),
  schedule('*/60 * * * *'),
  schedule('5/15 * * * *'),
  schedule('0 2 * * *,'),
  schedule('@yearly'),
  schedule('TZ=UTC 0 2 * * *'),
  { name: 'an empty time zone', changes: { 'spec.timeZone': '' }, path: 'spec.timeZone' },
  { name: 'a path as time zone', changes: { 'spec.timeZone': '../UTC' }, path: 'spec.timeZone' },
  { name: 'no time at all', changes: { 'spec.activeDeadlineSeconds': 0 }, path: 'spec.activeDeadlineSeconds' },
  {
    name: 'a negative time until it is deleted',
    changes: { 'spec.ttlSecondsAfterFinished': -1 },
    path: 'spec.ttlSecondsAfterFinished',
  },
];

export const unknownPrewarms: readonly BadCase[] = [
  { name: 'a misspelt key', changes: { 'spec.maxBytesPerSec': '1Gi' }, path: 'spec.maxBytesPerSec' },
  { name: 'a misspelt key of a target', changes: target({ includes: ['*'] }), path: at('includes') },
];

const good = (text: string): Case => ({ name: `the schedule ${text}`, changes: { 'spec.schedule': text } });

export const goodPrewarms: readonly Case[] = [
  { name: 'only the required fields', changes: {} },
  {
    name: 'a name of 63 characters, with dots and a leading digit',
    changes: { 'metadata.name': '3.'.padEnd(63, 'm') },
  },
  {
    name: 'every field',
    changes: {
      'spec.targets': [
        { bucket: BUCKET, prefix: 'llama-3-70b/', include: ['**/*.safetensors', '*.json'], exclude: [] },
        { bucket: 'datasets', manifest: MANIFEST },
        { bucket: 'datasets', keysFrom: KEYS_FROM },
        { bucket: 'datasets', exclude: ['tmp/**'] },
        { bucket: 'datasets', prefix: '' },
      ],
      'spec.maxBytesPerSecond': '500Mi',
      'spec.parallelism': 1024,
      'spec.pin': { ttl: '168h' },
      'spec.schedule': '0 2 * * *',
      'spec.timeZone': 'America/Argentina/Buenos_Aires',
      'spec.suspend': true,
      'spec.activeDeadlineSeconds': 7200,
      'spec.ttlSecondsAfterFinished': 0,
    },
  },
  {
    name: 'as many targets and globs as are allowed, of the maximum length',
    changes: {
      'spec.targets': Array.from({ length: 100 }, (_, index) => ({
        bucket: BUCKET,
        prefix: `${index}/`.padEnd(1024, 'p'),
        include: Array.from({ length: 50 }, () => 'g'.repeat(32)),
      })),
    },
  },
  { name: 'a pin until it is deleted', changes: { 'spec.pin': {} } },
  { name: 'a rate in plain bytes', changes: { 'spec.maxBytesPerSecond': 1_048_576 } },
  { name: 'the largest rate', changes: { 'spec.maxBytesPerSecond': '1Ti' } },
  good('@hourly'),
  good('*/15 0-6,22,23 1,15 JAN-jun/2 MON-FRI'),
  good('5  4 31 12 7'),
];
