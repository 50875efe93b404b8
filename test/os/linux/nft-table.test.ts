import { describe, expect, test } from 'vitest';
import type { Change, Kernel, NftObject } from '../../../os/linux/network-config.ts';
import { ACCEPT, DROP, tableObjects } from '../../../os/linux/nft.ts';
import { nftTable } from '../../../os/linux/nft-table.ts';

const chain = { name: 'c', hook: 'input', priority: 0, drop: true, rules: [[DROP]] } as const;
const GIVEN = tableObjects('t', [chain]);

/** A kernel with one table; `between` changes it right after each of our changes. */
function oneTable(between: (now: readonly NftObject[]) => readonly NftObject[] | undefined) {
  let now: readonly NftObject[] | undefined;
  const kernel = {
    filter: async () => now,
    change: async (change: Change) => {
      now = change.kind === 'filter' && change.objects.length > 0 ? between(change.objects) : undefined;
    },
  } as unknown as Kernel;
  return { kernel, now: () => now };
}

describe('[C-11] a table that is kept', () => {
  test.each([
    ['a rule is added', [{ ...chain, rules: [[ACCEPT], [DROP]] }]],
    ['the rules are gone', [{ ...chain, rules: [] }]],
    ['a policy is changed', [{ ...chain, drop: false }]],
    ['a chain is added', [chain, { ...chain, name: 'd', rules: [] }]],
    ['it is gone', undefined],
  ])('is restored if %s before it was looked at', async (_, changed) => {
    let times = 0;
    const kernel = oneTable((ours) => (times++ > 0 ? ours : changed && tableObjects('t', changed)));
    const table = nftTable('t', kernel.kernel);
    expect(await table.reconcile(GIVEN)).toBe(false);
    expect(await table.isIntact()).toBe(false);
    expect(await table.reconcile(GIVEN)).toBe(true);
    expect(kernel.now()).toEqual(GIVEN);
    expect(await table.isIntact()).toBe(true);
    expect(await table.reconcile(GIVEN)).toBe(false);
    expect(times).toBe(2);
  });

  test('is left alone where nft only writes it in another way, and removed', async () => {
    let times = 0;
    const kernel = oneTable((ours) => {
      times++;
      return ours.map((each) =>
        'rule' in each ? { rule: { ...(each.rule as NftObject), expr: ['as it likes'] } } : each,
      );
    });
    const table = nftTable('t', kernel.kernel);
    await table.reconcile(GIVEN);
    expect(await table.reconcile(GIVEN)).toBe(false);
    expect(await table.reconcile([])).toBe(true);
    expect(await table.reconcile([])).toBe(false);
    expect([times, kernel.now()]).toEqual([1, undefined]);
  });
});
