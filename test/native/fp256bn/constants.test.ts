import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { n, p } from '../../../protocol/crypto/fp256bn.ts';

const path = (name: string) => fileURLToPath(new URL(`../../../native/fp256bn/${name}`, import.meta.url));
const header = readFileSync(path('constants.h'), 'utf8');

it('the constants of the native curve are what their generator prints', () => {
  const made = execFileSync(process.execPath, [path('generate.mjs')], { encoding: 'utf8' });
  expect(header).toBe(made);
});

it('their orders are those of protocol/crypto', () => {
  const number = (name: string): bigint => {
    const limbs = new RegExp(`\\b${name}\\[4\\] = \\{([^}]*)\\}`).exec(header)![1]!.split(', ').map(BigInt);
    return limbs.reduceRight((sum, limb) => (sum << 64n) | limb, 0n);
  };
  expect(number('FIELD_ORDER')).toBe(p);
  expect(number('GROUP_ORDER')).toBe(n);
});
