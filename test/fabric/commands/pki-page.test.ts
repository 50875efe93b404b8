import { createHash, X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseListed } from '../../../fabric/commands/pki.ts';
import { caFolder } from '../openssl-ca.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const files = caFolder();
afterAll(() => files.remove());

const page = readFileSync(new URL('../../../docs/pki.md', import.meta.url), 'utf8');
/** The command lines in the page's blocks, each as a shell takes it apart. */
const lines = [...page.matchAll(/```sh\n([^`]*)```/g)].flatMap(([, block]) => block!.trim().split('\n'));
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
const CSV = /```csv\n([^`]*)```/.exec(page)![1]!;

test('every command in docs/pki.md does what the page says', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:1::/64', '--name', 'plant', '--data', data);
  await fabric.serve(data);
  const root = files.ca({ subject: '/CN=root' });
  const leaf = files.leaf({ subject: '/CN=pump', by: root, addresses: [] });
  const spki = createHash('sha256')
    .update(new X509Certificate(leaf.pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  copyFileSync(root.file, join(files.folder, 'ca.pem'));
  writeFileSync(join(files.folder, 'ca.crl'), files.crl(root, ['4711']));
  writeFileSync(join(files.folder, 'devices.csv'), CSV.replace('5f0c…64 hex digits', spki));
  expect(lines.length).toBe(6);
  for (const line of lines) {
    const [program, ...words] = wordsOf(line);
    expect(program).toBe('enf-fabric');
    const named = words.map((word) => (/^(?:ca|devices)\.\w+$/.test(word) ? join(files.folder, word) : word));
    const { code, out, err } = await fabric.run(...named, '--data', data);
    expect([line, code, code === 0 ? '' : err]).toEqual([line, 0, '']);
    if (words[1] === 'list')
      expect(out).toMatch(/1 {2}plant CA: listed, fd00:8f80:8000:1::\/64; 3 listed, 0 came/);
  }
  const { rows } = await fabric
    .json('audit', '--limit', '20', '--data', data)
    .then((said) => ({ rows: JSON.stringify(said) }));
  for (const action of ['pki.add', 'pki.import', 'pki.crl', 'pki.revoke', 'pki.remove'])
    expect(rows).toContain(action);
});

test('a list of devices is read as RFC 4180 writes it', () => {
  expect(parseListed(CSV, 'x')[0]).toEqual({
    address: 'fd00:8f80:8000:1:a::1',
    subject: 'CN=pump-1,O=Example',
  });
  expect(parseListed('\uFEFFserial,address\r\n"1",fd00::1\r\n\r\n', 'x')).toEqual([
    { serial: '1', address: 'fd00::1' },
  ]);
  expect(parseListed('address,subject\nfd00::1,"a ""b"""', 'x')).toEqual([
    { address: 'fd00::1', subject: 'a "b"' },
  ]);
});

test.each([
  ['', /line 1/],
  ['serial\n1', /line 1: expected the columns/],
  ['address,colour\nfd00::1,red', /line 1/],
  ['address,address\nfd00::1,fd00::1', /line 1/],
  ['address,serial\nfd00::1', /line 2: expected 2 fields, got 1/],
  ['address,serial\n,1', /line 2: has no address/],
  ['address,serial\nfd00::1,"1', /line 2: has a quote/],
  ['address,serial\nfd00::1,1"2"', /line 2: has a quote/],
])('a list that is %j is refused as a whole', (text, why) => {
  expect(() => parseListed(text, 'x')).toThrow(why);
});

test('a list of a megabyte of quotes is read in time that grows with its length', () => {
  expect(() => parseListed(`address\n${'"'.repeat(1_000_001)}`, 'x')).toThrow(/quote/);
});
