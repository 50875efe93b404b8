import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parseListed } from '../../../../fabric/commands/pki/cas.ts';
import type { AnchorView } from '../../../../fabric/operations/views/pki.ts';
import { caFolder } from '../../openssl-ca.ts';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();
const files = caFolder();
afterAll(() => files.remove());

const page = readFileSync(new URL('../../../../docs/pki.md', import.meta.url), 'utf8');
/** The fabric's command lines in the page's blocks, each as a shell takes it apart. */
const lines = [...page.matchAll(/```sh\n([^`]*)```/g)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  .filter((line) => line.startsWith('enf-fabric '));
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
const CSV = /```csv\n([^`]*)```/.exec(page)![1]!;

test('every command in docs/pki.md does what the page says', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:1::/64', '--name', 'plant', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:2::/64', '--name', 'depot', '--data', data);
  await fabric.serve(data);
  const root = files.ca({ subject: '/CN=root' });
  const leaf = files.leaf({ subject: '/CN=pump', by: root, addresses: [] });
  const spki = createHash('sha256')
    .update(new X509Certificate(leaf.pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  copyFileSync(root.file, join(files.folder, 'ca.pem'));
  copyFileSync(files.ca({ subject: '/CN=maker' }).file, join(files.folder, 'maker.pem'));
  writeFileSync(join(files.folder, 'ca.crl'), files.crl(root, ['4711']));
  const key = new X509Certificate(leaf.pem).publicKey.export({ type: 'spki', format: 'pem' });
  writeFileSync(join(files.folder, 'machine.pub'), key);
  writeFileSync(join(files.folder, 'devices.csv'), CSV.replace('5f0c…64 hex digits', spki));
  expect(lines.length).toBe(16);
  for (const line of lines) {
    const [program, ...words] = wordsOf(line);
    expect(program).toBe('enf-fabric');
    const named = words.map((word) =>
      /^(?:ca|devices|machine|maker)\.\w+$/.test(word) ? join(files.folder, word) : word,
    );
    const { code, out, err } = await fabric.run(...named, '--data', data);
    expect([line, code, code === 0 ? '' : err]).toEqual([line, 0, '']);
    if (words[1] === 'show')
      expect(out).toMatch(/fetched: {3}not yet from http:\/\/crl\.example\.org\/ca\.crl/);
    if (line === 'enf-fabric pki list')
      expect(out).toMatch(/1 {2}plant CA: listed, fd00:8f80:8000:1::\/64; 3 listed, 0 came/);
  }
  const { rows } = await fabric
    .json('audit', '--limit', '20', '--data', data)
    .then((said) => ({ rows: JSON.stringify(said) }));
  const actions = ['add', 'import', 'crl', 'crl-from', 'revoke', 'remove', 'create', 'code', 'renew'];
  for (const action of [...actions, 'enrols']) expect(rows).toContain(`"pki.${action}"`);
  expect(rows).toContain('device.register');
});

test('what is no public key of P-256 is not registered', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:7::/64', '--name', 'lab', '--note', 'a lab', '--data', data);
  const pem = ({ publicKey }: { publicKey: KeyObject }): string =>
    publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const onCurve = (namedCurve: string): string => pem(generateKeyPairSync('ec', { namedCurve }));
  const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2_048 }));
  const file = join(files.folder, 'other.pub');
  const register = (...more: string[]) => ['pki', 'register', 'lab', file, ...more, '--data', data];
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const secret = own.export({ type: 'pkcs8', format: 'pem' }) as string;
  for (const text of ['no key', rsa, onCurve('P-384'), secret]) {
    writeFileSync(file, text);
    expect(await fabric.refusal(...register())).toMatchObject({ code: 'fabric.bad-key' });
  }
  writeFileSync(file, onCurve('P-256'));
  const elsewhere = await fabric.refusal(...register('--address', 'fd00:8::a:0:0:1'));
  expect(elsewhere).toMatchObject({ code: 'fabric.other-network' });
  const made = await fabric.json<{ address: string }>(...register());
  expect(made).toMatchObject({ address: expect.stringMatching(/^fd00:7:/), network: 'fd00:7::/64' });
  expect(await fabric.json(...register())).toEqual(made);
  const listed = await fabric.json('device', 'list', '--kind', 'key', '--data', data);
  expect(JSON.stringify(listed)).toContain(made.address);
});

test('a list of devices is read as RFC 4180 writes it', () => {
  expect(parseListed(CSV.replace('5f0c…64 hex digits', '5f'.repeat(32)), 'x')[0]).toEqual({
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
  ['address,serial\nfd00::1,1\n\nfd00::g,1', /line 4: "fd00::g" is no IPv6 address/],
  ['address,serial\nfd00::1,none', /line 2: "none" is no serial number/],
  ['address,spki\nfd00::1,5f0c', /line 2: "5f0c" is no SHA-256/],
])('a list that is %j is refused as a whole', (text, why) => {
  expect(() => parseListed(text, 'x')).toThrow(why);
});

test('a list of a megabyte of quotes is read in time that grows with its length', () => {
  expect(() => parseListed(`address\n${'"'.repeat(1_000_001)}`, 'x')).toThrow(/quote/);
});

test('a fabric that serves fetches the list of a CA, from its own network if its host allows that', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:1::/64', '--name', 'plant', '--data', data);
  const root = files.ca({ subject: '/CN=published' });
  const list = files.crl(root, ['4711', '4712']);
  const publisher = createServer((_request, response) => void response.end(list));
  await new Promise<void>((resolve) => publisher.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void publisher.close());
  const url = `http://127.0.0.1:${(publisher.address() as AddressInfo).port}/ca.crl`;
  await fabric.json('pki', 'add', root.file, '--name', 'CA', '--network', 'plant', '--data', data);
  const shown = () => fabric.json<AnchorView>('pki', 'show', '1', '--data', data);

  const strict = await fabric.serve(data);
  await fabric.json('pki', 'crl-from', '1', url, '--data', data);
  await expect.poll(async () => (await shown()).crl?.error, { timeout: 20_000 }).toMatch(/private network/);
  expect(await shown()).toMatchObject({ revoked: 0, crl: { from: url, fetched: null } });
  await strict.stop();

  await fabric.serve(data, '--private-hooks');
  await fabric.json('pki', 'crl-from', '1', url, '--data', data);
  await expect.poll(async () => (await shown()).revoked, { timeout: 20_000 }).toBe(2);
  expect((await fabric.run('pki', 'show', '1', '--data', data)).out).toMatch(
    /list: {6}issued \S+.*\nfetched: {3}\S.* from http/,
  );
  expect((await fabric.run('doctor', '--only', 'revocation-lists', '--data', data)).out).toContain(
    '1 CA, 1 list, none overdue',
  );
  await fabric.json('pki', 'crl-from', '1', 'none', '--data', data);
  expect((await shown()).crl).toBeNull();
  expect(await fabric.refusal('pki', 'show', '2', '--data', data)).toMatchObject({ code: 'pki.unknown-ca' });
});
