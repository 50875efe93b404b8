import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addressesInHosts, nameservers, resolveMarked } from '../../../os/net/resolver.ts';

// Answers over the network, UDP and TCP, are tested in a namespace of their own: test/agent/network/reconciler.test.ts.

const folder = mkdtempSync(join(tmpdir(), 'enf-resolve-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test('the servers behind a local stub are preferred to the stub', async () => {
  const stub = file('stub', '# made by somebody\nnameserver 127.0.0.53\noptions edns0\n');
  const real = file('real', 'nameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver nonsense\n');
  const many = file('many', [1, 2, 3, 4].map((n) => `nameserver 192.0.2.${n}\n`).join(''));
  const missing = join(folder, 'missing');
  expect(await nameservers([missing, stub, real])).toEqual(['192.0.2.1', '2001:db8::1']);
  expect(await nameservers([missing, stub])).toEqual(['127.0.0.53']);
  expect(await nameservers([many])).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  expect(await nameservers([missing])).toEqual([]);
});

test('the hosts file comes first, and ignores case', async () => {
  const hosts =
    '127.0.0.1 localhost\n203.0.113.7\tenf.example  ENF # enf.commented\n2001:db8::7 enf.example\nbad enf.example\n';
  expect(addressesInHosts(hosts, 'Enf.Example')).toEqual(['203.0.113.7', '2001:db8::7']);
  expect(addressesInHosts(hosts, 'enf')).toEqual(['203.0.113.7']);
  expect(addressesInHosts(hosts, 'enf.commented')).toEqual([]);
  expect(await resolveMarked('enf', { mark: 0, confs: [], hosts: file('hosts', hosts) })).toEqual([
    '203.0.113.7',
  ]);
});

test('no server, an unreachable one, or an invalid name: no addresses', async () => {
  const hosts = file('empty', '');
  expect(await resolveMarked('enf.example', { mark: 0, confs: [], hosts })).toEqual([]);
  const dead = file('dead', 'nameserver 127.0.0.1\n');
  expect(await resolveMarked('enf.example', { mark: 0, confs: [dead], hosts, port: 1 })).toEqual([]);
  expect(await resolveMarked('not a name', { mark: 0, confs: [dead], hosts, port: 1 })).toEqual([]);
});
