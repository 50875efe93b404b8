import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, parseConfig } from '../../../agent/config/config.ts';
import {
  namedIdentity,
  readNamedCertificate,
  readNamedKey,
} from '../../../agent/identity/named-certificate.ts';
import { type CaFolder, caFolder, type MadeCertificate } from '../../fabric/openssl-ca.ts';

const ADDRESS = 'fd00:e4f:1:0:a::1';
let files: CaFolder;
let root: MadeCertificate;
let own: MadeCertificate;

beforeAll(() => {
  files = caFolder();
  root = files.ca({ subject: '/CN=root' });
  own = files.leaf({ subject: '/CN=pump', by: root, addresses: [ADDRESS] });
});
afterAll(() => files.remove());

const config = (certificate: string, key = own.keyFile, address = ''): Config =>
  parseConfig(
    `[remote]\nhosts = ["f.example"]\ntls-root = "${root.file}"\ntls-name = "*"\n[identity]\nmode = "pki"\ncertificate = "${certificate}"\nkey = "${key}"\naddress = "${address}"`,
    'agent.toml',
  );

test('the address is that of the certificate, or the configured one where it has none', async () => {
  expect(await namedIdentity({ config: config(own.file) }).prepare()).toEqual({
    kind: 'connect',
    address: ADDRESS,
  });
  const nameless = files.leaf({ subject: '/CN=pump', by: root, addresses: [] });
  expect(await namedIdentity({ config: config(nameless.file, own.keyFile, ADDRESS) }).prepare()).toEqual({
    kind: 'connect',
    address: ADDRESS,
  });
  await expect(readNamedCertificate(config(nameless.file))).rejects.toMatchObject({
    code: 'pki.bad-certificate',
  });
});

test('what is no certificate of one address, or another one, is refused', async () => {
  const bad = { code: 'pki.bad-certificate' };
  const two = files.leaf({ subject: '/CN=pump', by: root, addresses: [ADDRESS, 'fd00:e4f:1:0:a::2'] });
  await expect(readNamedCertificate(config(two.file))).rejects.toMatchObject(bad);
  await expect(readNamedCertificate(config(own.keyFile))).rejects.toMatchObject(bad);
  await expect(readNamedCertificate(config(own.file, own.keyFile, 'fd00::7'))).rejects.toMatchObject(bad);
  const loopback = files.leaf({ subject: '/CN=pump', by: root, addresses: ['::1'] });
  await expect(readNamedCertificate(config(loopback.file))).rejects.toMatchObject({
    code: 'agent.unusable-identity',
  });
  await expect(readNamedKey(config(own.file, own.file))).rejects.toMatchObject({ code: 'pki.bad-key' });
});

test('a renewed file is shown with the next connection, and wanted where the fabric asks for another', async () => {
  const file = join(files.folder, 'machine.pem');
  writeFileSync(file, own.pem);
  appendFileSync(file, root.pem);
  const session = namedIdentity({ config: config(file) });
  await session.prepare();
  expect(session.certificate()).toMatchObject({ subject: 'CN=pump', address: ADDRESS, key: 'file' });
  const first = await session.tls();
  expect(first).toMatchObject({ address: ADDRESS, names: [], key: readFileSync(own.keyFile, 'utf8') });
  await expect(session.provision()).rejects.toMatchObject({
    code: 'pki.same-certificate',
    remedy: 'operator',
  });
  writeFileSync(file, files.leaf({ subject: '/CN=pump', by: root, addresses: [ADDRESS] }).pem);
  expect(await session.provision()).toBe(ADDRESS);
  expect((await session.tls()).certificate).not.toEqual(first.certificate);
  writeFileSync(file, files.leaf({ subject: '/CN=pump', by: root, addresses: ['fd00:e4f:1:0:a::2'] }).pem);
  await expect(session.tls()).rejects.toMatchObject({ code: 'pki.other-address' });
});
