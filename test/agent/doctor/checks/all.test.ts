import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CHECKS } from '../../../../agent/doctor/checks/all.ts';
import { fakeProbes } from '../../probes.ts';
import { IDENTITY } from './identity.ts';
import { MACHINE } from './machine.ts';
import { NETWORK } from './network.ts';
import type { Table } from './place.ts';

const TABLE: Table = { ...MACHINE, ...IDENTITY, ...NETWORK };

/** Requirements that a check answers for. */
const ANSWERS: Record<string, string> = {
  clock: '[C-4] ',
  'tpm-device': '[C-24] ',
  'tpm-lockout': '[C-26] ',
  tun: '[C-15] ',
  ipv6: '[C-15] ',
  'path-mtu': '[C-12] ',
  'captive-portal': '[C-9] ',
  proxy: '[C-9] ',
  'foreign-managers': '[C-11] [H-C7] ',
};

for (const check of CHECKS) {
  describe(`${ANSWERS[check.id] ?? ''}${check.id}`, () => {
    for (const [change, outcome, message] of TABLE[check.id]!) {
      test(`${outcome}: ${message.source}`, async () => {
        const finding = await check.run(fakeProbes(change));
        expect(finding).toMatchObject({ outcome, message: expect.stringMatching(message) });
        expect(finding.remedy !== undefined, 'what to do, where there is something to do').toBe(
          outcome === 'warning' ||
            (outcome === 'failed' && !/cannot reach it|holds it/.test(finding.message)),
        );
      });
    }
  });
}

test('each check was tried with everything it may find', () => {
  expect(Object.keys(TABLE).sort()).toEqual(CHECKS.map(({ id }) => id).sort());
  for (const rows of Object.values(TABLE)) {
    const outcomes = new Set(rows.map((row) => row[1]));
    expect(outcomes.has('ok')).toBe(true);
    expect(outcomes.has('failed') || outcomes.has('warning')).toBe(true);
  }
});

test('docs/doctor.md has every check with what it looks at, and nothing else', () => {
  const docs = readFileSync(new URL('../../../../docs/doctor.md', import.meta.url), 'utf8');
  const rows = [...docs.matchAll(/^\| `([a-z0-9-]+)` \| (.+?) \| (\S.+) \|$/gm)].map((row) => [
    row[1],
    row[2],
  ]);
  expect(rows).toEqual(CHECKS.map(({ id, about }) => [id, about]));
});
