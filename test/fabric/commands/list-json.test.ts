import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../../fabric/commands/all.ts';
import { makeBatch } from '../device.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

/*
 * With --json each command that lists things prints an array of them (docs/fabric-api.md). One that says more than a list prints an object.
 */

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

/** What a list is of, where it takes the name of that. */
const OF: Readonly<Record<string, readonly string[]>> = {
  'network delegations': [NETWORK],
  'rule list': [NETWORK],
  'limit list': [NETWORK],
  'hook deliveries': ['1'],
};
/** Lists beside which something else is said, and in which field they are. */
const SAYS_MORE: Readonly<Record<string, string>> = { 'certificate list': 'certificates' };
/** Without a roster there is no list of one, and without a fabric that serves no jobs. */
const ELSEWHERE = ['roster list', 'job list'];

test('every command that lists prints an array', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  await fabric.run('group', 'add', '--label', makeBatch().label, '--network', NETWORK, ...at);
  await fabric.json('hook', 'add', 'https://hooks.example.org/x', '--name', 'mine', ...at);
  const lists = commands
    .filter(({ summary }) => /^Lists /.test(summary))
    .map(({ name }) => name)
    .filter((name) => !ELSEWHERE.includes(name));
  expect(lists.length).toBeGreaterThan(12);
  for (const name of lists) {
    const { code, out, err } = await fabric.run(...name.split(' '), ...(OF[name] ?? []), '--json', ...at);
    expect([code, err], name).toEqual([0, '']);
    const printed = JSON.parse(out);
    const field = SAYS_MORE[name];
    expect(Array.isArray(field === undefined ? printed : printed[field]), `${name}: ${out}`).toBe(true);
  }
});
