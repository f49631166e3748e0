// cspell:ignore Paht endpoin
import { describe, expect, test } from 'vitest';
import { nearMiss } from '#crds/near-miss.ts';

const KEYS = ['forcePathStyle', 'endpoint', 'region', 'id', 'size', 'tiers'];

describe('a near miss', () => {
  test.each([
    ['ForcePATHStyle', 'forcePathStyle'],
    ['forcePahtStyle', 'forcePathStyle'],
    ['pathStyle', undefined],
    ['endpoin', 'endpoint'],
    ['endPoints', 'endpoint'],
    ['sise', 'size'],
    ['Id', 'id'],
    ['ie', 'id'],
    ['x', undefined],
    ['', undefined],
    ['compression', undefined],
  ])('of %s is %s', (name, meant) => {
    expect(nearMiss(name, KEYS)).toBe(meant);
  });

  test('is the most similar name', () => {
    expect(nearMiss('tier', ['timer', 'tiers', 'tire'])).toBe('timer');
    expect(nearMiss('sizes', ['sides', 'size', 'sizes2'])).toBe('sides');
  });

  test('of nothing', () => {
    expect(nearMiss('any', [])).toBeUndefined();
  });
});
