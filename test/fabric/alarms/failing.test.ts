import { expect, test } from 'vitest';
import { failing } from '../../../fabric/alarms/failing.ts';
import type { FailurePage, FailurePlace } from '../../../fabric/registry/alarms.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { sized } from './sized.ts';

const group = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const times = (n: number, gid: Uint8Array, code: string, owner = 1) =>
  Array.from({ length: n }, () => ({ gid, owner, code }));

/** A registry whose groups have 50 devices, and whose failures come in pages of two. */
function registryWith(rows: FailurePage['rows']) {
  const asked: (FailurePlace | undefined)[] = [];
  const registry = {
    async failures(_since: number, after?: FailurePlace) {
      asked.push(after);
      const from = after?.row ?? 0;
      const next = from + 2 < rows.length ? { next: { at: 1, row: from + 2 } } : {};
      return { rows: rows.slice(from, from + 2), ...next };
    },
    groupNumbers: async () => sized(50),
    group: async (text: string) => ({ name: `batch ${text.slice(0, 2)}` }) as never,
  };
  return { registry, asked };
}

test('[H-E22] a tenth of a group that reports one failure is told of, and no fewer', async () => {
  const { registry, asked } = registryWith([
    ...times(5, group(1), 'tpm.lost'),
    ...times(4, group(2), 'tpm.lost'),
    ...times(4, group(1), 'net.captive'),
  ]);
  expect(await failing(registry, 0)).toEqual([
    {
      kind: 'device.failing',
      owner: 1,
      subject: `${toHex(group(1))} tpm.lost`,
      detail: { name: 'batch 01', code: 'tpm.lost', times: 5, devices: 50 },
    },
  ]);
  expect(asked).toHaveLength(7);
});

test('[H-E22] one device alone is no alarm, and of any number of codes a bounded one is told of', async () => {
  const { registry } = registryWith(times(1, group(1), 'tpm.lost'));
  const small = { ...registry, groupNumbers: async () => sized(1) };
  expect(await failing(small, 0)).toEqual([]);
  const many = Array.from({ length: 80 }, (_, i) => times(2, group(1), `made.up-${i}`)).flat();
  const flooded = {
    ...registryWith(many).registry,
    groupNumbers: async () => sized(2),
  };
  expect(await failing(flooded, 0)).toHaveLength(50);
});

test('an owner whose devices report any number of codes hides no failure of another one', async () => {
  const codes = Array.from({ length: 10_050 }, (_, i) => times(1, group(1), `made.up-${i}`)).flat();
  const loud = Array.from({ length: 60 }, (_, i) => times(9, group(1), `loud-${i}`)).flat();
  const rows = [...loud, ...codes, ...times(5, group(2), 'tpm.lost', 2)];
  const registry = { ...registryWith([]).registry, failures: async () => ({ rows }) };
  const found = await failing(registry, 0);
  const of = (owner: number) => found.filter((each) => each.owner === owner).length;
  expect([of(1), of(2)]).toEqual([50, 1]);
});
