import { X509Certificate } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exchange, provision } from '../../../agent/identity/provision.ts';
import { openSoftwareKeys } from '../../../agent/identity/software-keys.ts';
import { openStore, type Store } from '../../../agent/state/state.ts';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { ascii, fromHex } from '../../../protocol/bytes.ts';
import { parseIdentityCertificate } from '../../../protocol/identity/certificate.ts';
import { formatIpv6, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { makeRootCertificate } from '../../../protocol/xtt/certificate.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';

const NOTHING = new Uint8Array(16);
let server: IdentityServer;
beforeAll(async () => {
  server = await identityServer();
});

async function device() {
  const [credential, state] = [temporaryFolder(), temporaryFolder()];
  server.personalise(credential);
  const store = await openStore(await openFolder(state));
  const run = (change: Partial<Parameters<typeof provision>[0]> = {}) =>
    provision({
      keys: openSoftwareKeys(credential),
      store,
      suite: 1,
      requestedIdentity: NOTHING,
      connect: async () => server.connect(),
      links: () => [],
      nowMs: () => 0,
      ...change,
    });
  return { credential, state, store, run };
}

/** Nothing but the pending key is kept of a failed attempt. */
const untouched = (store: Store): boolean => store.record.identity === undefined;

describe('provisioning', () => {
  for (const suite of [1, 2, 3, 4] as const) {
    test(`suite ${suite}: the identity is durable, its certificate carries address and key`, async () => {
      const { run, state } = await device();
      const identity = await run({ suite });
      const record = (await openStore(await openFolder(state))).record;
      expect(record).toEqual({ identity });
      const der = fromHex(identity.certificate);
      const row = [...server.devices.values()].find((each) => formatIpv6(each.address) === identity.address)!;
      expect(parseIdentityCertificate(der)).toEqual({ address: row.address, publicKey: row.longtermKey });
      const x509 = new X509Certificate(der);
      expect(x509.verify(x509.publicKey)).toBe(true);
      const key = await openSoftwareKeys('').load(identity.key);
      expect(key.publicKey).toEqual(row.longtermKey);
      expect(key.tlsKey()).toContain('EC PRIVATE KEY');
    });
  }

  test('the key is durable before it is used, and not yet an identity', async () => {
    const { run, state } = await device();
    let before: object = {};
    await run({
      connect: async () => {
        before = (await openStore(await openFolder(state))).record;
        return server.connect();
      },
    });
    expect(before).toMatchObject({ pending: { kind: 'software' } });
    expect(before).not.toHaveProperty('identity');
  });

  test('again: the same address with a new key; the former identity stays until then', async () => {
    const { run, store } = await device();
    const first = await run();
    await expect(run({ connect: async () => broken('nothing') })).rejects.toThrow('cut');
    expect(store.record.identity).toEqual(first);
    const second = await run();
    expect(second.address).toBe(first.address);
    expect(second.key).not.toEqual(first.key);
    expect(store.record).toEqual({ identity: second });
  });

  test('the address it owns may be asked for', async () => {
    const { run } = await device();
    const { address } = await run();
    expect((await run({ requestedIdentity: parseIpv6(address) })).address).toBe(address);
    await expect(run({ requestedIdentity: parseIpv6('fd00::1') })).rejects.toMatchObject({
      code: 'xtt.wrong-identity',
    });
  });

  test('a pending key that does not load is replaced', async () => {
    const { run, store } = await device();
    const der = 'aa'.repeat(121);
    await store.save({ pending: { kind: 'software', der } });
    expect((await run()).key).not.toEqual({ kind: 'software', der });
  });

  test('unknown fields of the state are kept', async () => {
    const { run, store } = await device();
    await store.save({ later: true });
    const identity = await run();
    expect(store.record).toEqual({ later: true, identity });
  });
});

/** A server that answers one message and then breaks. */
function broken(how: 'nothing' | 'error' | 'garbage'): Exchange {
  return {
    send: async () => {},
    receive: async () => {
      if (how === 'nothing') throw new Error('cut');
      return how === 'error' ? ERROR_MESSAGE : new Uint8Array(417);
    },
    close() {},
  };
}

describe('refusals leave no identity', () => {
  test('a server of another root', async () => {
    const { run, store, credential } = await device();
    const before = server.aborts;
    writeFileSync(
      join(credential, 'root_cert.bin'),
      makeRootCertificate(primitives.random(16), generateP256().publicKey),
    );
    await expect(run()).rejects.toMatchObject({
      code: 'xtt.unknown-root',
      remedy: expect.not.stringMatching('reprovision'),
    });
    writeFileSync(
      join(credential, 'root_cert.bin'),
      makeRootCertificate(server.rootCertificate.slice(0, 16), generateP256().publicKey),
    );
    await expect(run()).rejects.toMatchObject({ code: 'xtt.bad-root-signature' });
    expect(untouched(store)).toBe(true);
    expect(server.aborts).toBe(before + 2);
  });

  test('a group the server does not know: another basename', async () => {
    const { run, store } = await device();
    const count = server.devices.size;
    await expect(run({ basename: ascii('another') })).rejects.toMatchObject({
      code: 'xtt.error-received',
      remedy: 'retry',
      action: expect.stringMatching(/owner.*full/),
    });
    expect([untouched(store), server.devices.size]).toEqual([true, count]);
    expect((await run({ basename: server.basename })).address).toBeDefined();
  });

  test('an Error message, a garbled answer', async () => {
    const { run, store } = await device();
    await expect(run({ connect: async () => broken('error') })).rejects.toMatchObject({
      code: 'xtt.error-received',
    });
    await expect(run({ connect: async () => broken('garbage') })).rejects.toMatchObject({
      code: expect.stringMatching(/^xtt\./),
    });
    expect(untouched(store)).toBe(true);
    const pending = store.record.pending;
    expect((await run()).key).toEqual(pending);
  });

  test('a connection is closed whatever happens', async () => {
    const { run } = await device();
    let closed = 0;
    const exchange = (inner: Exchange): Exchange => ({ ...inner, close: () => void closed++ });
    await run({ connect: async () => exchange(server.connect()) });
    await expect(run({ connect: async () => exchange(broken('error')) })).rejects.toThrow();
    expect(closed).toBe(2);
  });
});

describe('[H-B2] the assigned identity', () => {
  /** A device, and what its fabric assigns to it from now on. */
  async function assigned(address: string) {
    const { run, store, state } = await device();
    const first = await run();
    const [pseudonym, row] = [...server.devices].find(
      ([, each]) => formatIpv6(each.address) === first.address,
    )!;
    server.devices.set(pseudonym, { ...row, address: parseIpv6(address) });
    return { run, store, state, first };
  }

  for (const address of [
    '::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'fd78::9',
    '::ffff:102:304',
    '64:ff9b::1',
    'e485::1',
    'ffff::',
  ]) {
    test(`${address} is refused with a name, and nothing of it is kept`, async () => {
      const { run, store, state, first } = await assigned(address);
      const links = () => [parsePrefix('2001:db8:1::/64'), parsePrefix('fd78::/64')];
      await expect(run({ links })).rejects.toMatchObject({
        code: 'agent.unusable-identity',
        remedy: 'retry',
        message: expect.stringContaining(address),
      });
      expect(store.record.identity).toEqual(first);
      expect((await openStore(await openFolder(state))).record.identity).toEqual(first);
    });
  }

  for (const address of ['2001:db8:2::1', '3fff::1', 'fc00::1', 'fdff::1']) {
    test(`${address} is taken`, async () => {
      const { run, store } = await assigned(address);
      const links = () => [parsePrefix('2001:db8:1::/64')];
      expect((await run({ links })).address).toBe(address);
      expect(store.record.identity?.address).toBe(address);
    });
  }
});

describe('the credential folder', () => {
  test('a missing or short file is named', async () => {
    const { run, credential } = await device();
    const file = join(credential, 'daa_cred.bin');
    const good = readFileSync(file);
    writeFileSync(file, good.subarray(1));
    await expect(run()).rejects.toMatchObject({
      code: 'os.bad-length',
      message: expect.stringContaining(file),
    });
    rmSync(file);
    await expect(run()).rejects.toMatchObject({ code: 'os.no-file', message: expect.stringContaining(file) });
  });

  test('an empty or too long basename is refused', async () => {
    const { run, credential } = await device();
    for (const length of [0, 65]) {
      writeFileSync(join(credential, 'basename.bin'), 'x'.repeat(length));
      await expect(run()).rejects.toMatchObject({ code: 'keys.bad-basename' });
    }
  });

  test('a key of the other mode is not replaced but named', async () => {
    const { run, store } = await device();
    await store.save({ pending: { kind: 'tpm', pem: 'x' } });
    await expect(run()).rejects.toMatchObject({ code: 'agent.mode-changed', remedy: 'operator' });
  });
});
