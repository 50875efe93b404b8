import { closeSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { type Config, parseConfig } from '../../../agent/config/config.ts';
import { checkNamedKey, namedIdentity } from '../../../agent/identity/named-certificate.ts';
import { findProvider } from '../../../agent/identity/pkcs11-key.ts';
import { dialDescriptor } from '../../../os/net/dial.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { type DataplaneEvent, startDataplane } from '../../../tunnel/client.ts';
import { type CaFolder, caFolder, type MadeCertificate } from '../../fabric/openssl-ca.ts';
import { packetPair } from '../../native/packetpair.ts';
import { type SoftHsm, softHsm } from '../../softhsm.ts';

/** Debian 12 has the provider among its backports alone, see setup.sh. */
const tokenTest = test.skipIf(
  !existsSync(`/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/ossl-modules/pkcs11.so`),
);
const ADDRESS = 'fd00:e4f:1:0:a::1';
const PIN = '73105';
let files: CaFolder;
let hsm: SoftHsm;
let root: MadeCertificate;
let router: MadeCertificate;
let pump: MadeCertificate;
let rsa: MadeCertificate;
let pinFile: string;

beforeAll(() => {
  files = caFolder();
  hsm = softHsm();
  root = files.ca({ subject: '/CN=root' });
  router = files.leaf({ subject: '/CN=router', by: root, addresses: ['127.0.0.1'], usage: 'serverAuth' });
  pump = files.leaf({ subject: '/CN=pump', by: root, addresses: [ADDRESS] });
  rsa = files.leaf({ subject: '/CN=rsa', by: root, addresses: [ADDRESS], key: 'rsa2048' });
  hsm.init('plant', PIN);
  hsm.init('other', '999999');
  hsm.import('plant', PIN, 'pump', '01', pump.keyFile);
  hsm.import('plant', PIN, 'rsa', '02', rsa.keyFile);
  hsm.import('plant', PIN, 'twice', '03', files.leaf({ subject: '/CN=x', by: root, addresses: [] }).keyFile);
  hsm.import('plant', PIN, 'twice', '04', files.leaf({ subject: '/CN=y', by: root, addresses: [] }).keyFile);
  pinFile = join(hsm.folder, 'pin');
});
beforeEach(() => {
  writeFileSync(pinFile, `${PIN}\n`);
  hsm.logins();
});
afterAll(() => {
  files.remove();
  hsm.remove();
});

const config = (which: string, certificate = pump, query = `pin-source=file:${pinFile}&`): Config =>
  parseConfig(
    `[remote]\nhosts = ["127.0.0.1"]\ntls-root = "${root.file}"\n[identity]\nmode = "pki"\ncertificate = "${certificate.file}"\nkey = "pkcs11:${which}?${query}module-path=${hsm.module}"`,
    'agent.toml',
  );
const failing = (code: string, remedy = 'operator') =>
  expect.objectContaining({ name: 'Failure', code, remedy });
const prepare = (...given: Parameters<typeof config>) =>
  namedIdentity({ config: config(...given) }).prepare();

// First: once a process has logged in to a token, that gives its keys without asking for a PIN.
tokenTest('a PIN that was refused is given to the token once, until its file changes', async () => {
  writeFileSync(pinFile, '00000');
  const session = namedIdentity({ config: config('token=plant;object=pump') });
  for (let i = 0; i < 3; i++) {
    const failure = await session.prepare().catch((error: unknown) => error);
    expect(failure).toEqual(failing('pkcs11.wrong-pin'));
    expect(JSON.stringify([failure, (failure as Error).message])).not.toContain('00000');
  }
  await expect(session.tls()).rejects.toEqual(failing('pkcs11.wrong-pin'));
  expect(hsm.logins()).toBe(1);
  // A restart, too, gives it once.
  await expect(prepare('token=plant;object=pump')).rejects.toEqual(failing('pkcs11.wrong-pin'));
  expect(hsm.logins()).toBe(1);
  rmSync(pinFile);
  await expect(session.prepare()).rejects.toEqual(failing('os.no-file'));
  writeFileSync(pinFile, PIN);
  await session.prepare();
  expect(hsm.logins()).toBe(1);
  expect(session.certificate()).toMatchObject({ subject: 'CN=pump', key: 'token' });
});

tokenTest('a token that wants a PIN and gets none says so', async () => {
  await expect(prepare('token=other;object=pump', pump, '')).rejects.toEqual(failing('pkcs11.no-pin'));
  expect(hsm.logins()).toBe(0);
});

tokenTest('what the token has not is named', async () => {
  await expect(prepare('token=nowhere;object=pump')).rejects.toEqual(failing('pkcs11.no-token', 'retry'));
  expect(hsm.logins()).toBe(0);
  await expect(prepare('token=plant;object=valve')).rejects.toEqual(failing('pkcs11.no-key'));
  await expect(prepare('token=plant;object=twice')).rejects.toEqual(failing('pkcs11.several-keys'));
  await expect(prepare('token=plant;object=rsa')).rejects.toEqual(failing('pkcs11.other-key'));
  await expect(prepare('token=plant;object=pump;id=%02')).rejects.toEqual(failing('pkcs11.no-key'));
});

tokenTest('a module that did not work is tried again', async () => {
  const module = join(hsm.folder, 'module.so');
  const { identity, ...rest } = config('token=plant;object=pump');
  const key = identity.key.replace(hsm.module, module);
  const session = namedIdentity({ config: { ...rest, identity: { ...identity, key } } });
  writeFileSync(module, 'no shared object');
  for (let i = 0; i < 2; i++)
    await expect(session.prepare()).rejects.toEqual(failing('pkcs11.no-token', 'retry'));
  rmSync(module);
  symlinkSync(hsm.module, module);
  await session.prepare();
});

tokenTest('files are looked at without the token', async () => {
  await checkNamedKey(config('token=nowhere;object=pump'));
  for (const pin of ['', '\n', 'x'.repeat(33), '12\n34', '12\0']) {
    writeFileSync(pinFile, pin);
    await expect(checkNamedKey(config('token=plant;object=pump'))).rejects.toEqual(
      failing('pkcs11.bad-pin-file'),
    );
  }
  rmSync(pinFile);
  await expect(checkNamedKey(config('token=plant;object=pump'))).rejects.toEqual(failing('os.no-file'));
  const { identity, ...rest } = config('token=plant;object=pump', pump, '');
  const key = `${identity.key}.none`;
  await expect(checkNamedKey({ ...rest, identity: { ...identity, key } })).rejects.toEqual(
    failing('pkcs11.no-module'),
  );
  expect(hsm.logins()).toBe(0);
});

/** Connects with what the session gives; resolves to the router's side, and what the data plane says first. */
async function connect(session: ReturnType<typeof namedIdentity>, before = (): void => {}) {
  let peer: TLSSocket | undefined;
  const server = createServer(
    { cert: router.pem, key: router.key, ca: root.pem, requestCert: true, rejectUnauthorized: true },
    (socket) => {
      peer = socket.on('error', () => {});
      socket.write(Uint8Array.of(0, 1, 0x60)); // any frame says that we are in
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const [device, host] = packetPair();
  const rules = {
    own: parseIpv6(ADDRESS),
    allowIpv4: false,
    heartbeatPeriodMs: 60_000,
    heartbeatTimeoutMs: 30_000,
  };
  const tun = { name: 'fake0', fd: device, offload: 0 as const, close: () => closeSync(device) };
  const dataplane = startDataplane(tun, rules, () => {});
  onTestFinished(() => {
    dataplane.close();
    closeSync(host);
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const fd = await dialDescriptor({ hosts: ['127.0.0.1'], port, timeoutMs: 20_000 });
  const reports: DataplaneEvent[] = [];
  const { ca, certificate, key } = await session.tls();
  before();
  dataplane.connect({ fd, ca, certificate, key, timeoutMs: 20_000, wire: 'auto' }, (report) =>
    reports.push(report),
  );
  await vi.waitFor(() => expect(reports).not.toEqual([]), 20_000);
  return { peer, report: reports[0]! };
}

tokenTest.each(['pump', 'rsa'])('a connection is signed by the token: %s', async (name) => {
  const certificate = name === 'rsa' ? rsa : pump;
  const session = namedIdentity({ config: config(`token=plant;object=${name}`, certificate) });
  await session.prepare();
  hsm.signatures();
  for (let i = 0; i < 2; i++) {
    const { peer, report } = await connect(session);
    expect(report).toMatchObject({ kind: 'up' });
    expect(peer!.authorized).toBe(true);
    expect(hsm.signatures()).toBe(1);
    expect(peer!.getPeerCertificate().subject.CN).toBe(name);
  }
});

test('without the provider the failure says what to install', async () => {
  await expect(findProvider([hsm.folder, '/nowhere'])).rejects.toMatchObject({
    code: 'pkcs11.no-provider',
    action: expect.stringContaining('apt-get install pkcs11-provider'),
  });
});

// Last: there is no token after it.
tokenTest('a token that is gone does not sign, and is not found the next time', async () => {
  const session = namedIdentity({ config: config('token=plant;object=pump') });
  await session.prepare();
  const { report } = await connect(session, hsm.unplug);
  expect(report).toMatchObject({ kind: 'down', failure: failing('pkcs11.did-not-sign', 'retry') });
  await expect(session.tls()).rejects.toMatchObject({
    code: expect.stringMatching(/^pkcs11\.no-(?:key|token)$/),
  });
});
