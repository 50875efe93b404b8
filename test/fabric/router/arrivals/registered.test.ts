/** Machines with a key that their owner has registered, in a certificate as enftun-keygen makes it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import type { Context } from '../../../../fabric/operations/contract/operation.ts';
import { setStanding } from '../../../../fabric/operations/devices.ts';
import { registerKey } from '../../../../fabric/operations/pki/keys.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { opened, registryFile, scratch, type WholeRegistry } from '../../place.ts';
import { connect, type Device, makeDevice, OURS, testRouter, until } from '../fixture.ts';

const NETWORK = 'fd00:1::/64';

let registry: WholeRegistry;
let router: Router;
let context: Context;

beforeEach(async () => {
  registry = opened(registryFile());
  await registry.addNetwork('test', parsePrefix(NETWORK), 'plant');
  router = await testRouter(registry);
  onTestFinished(() => router.close());
  context = {
    registry: registry.of(EVERYTHING),
    actor: 'test',
    now: Date.now,
    running: {
      presence: async () => undefined,
      notify: async () => {
        await registry.catchUp();
        await router.settled();
        return 'in force';
      },
    },
  };
});

/** The key of a machine, as enftun-keygen makes it: with its point in upper-case hex, and the certificate of an address. */
async function keygen() {
  const folder = scratch();
  const openssl = (...args: string[]): Buffer =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'key.pem');
  const spki = openssl('pkey', '-in', 'key.pem', '-pubout', '-outform', 'DER');
  const device = async (address: string): Promise<Device> => {
    openssl('req', '-new', '-key', 'key.pem', '-subj', `/CN=${address}`, '-out', 'csr.pem');
    const serial = `0x${'5a'.repeat(19)}`;
    const signed = ['-days', '365', '-sha256', '-set_serial', serial, '-out', 'cert.pem'];
    openssl('x509', '-req', '-in', 'csr.pem', '-signkey', 'key.pem', ...signed);
    return {
      ...(await makeDevice(address)),
      certificate: readFileSync(join(folder, 'cert.pem'), 'utf8'),
      key: readFileSync(join(folder, 'key.pem'), 'utf8'),
    };
  };
  return { point: spki.subarray(-65).toString('hex').toUpperCase(), device };
}

const register = async (key: string, address?: string): Promise<string> =>
  (await registerKey.run(context, { network: NETWORK, key, ...(address !== undefined && { address }) })).view
    .address;

const isIn = (address: string): boolean => router.sessions().some((each) => each.address === address);

describe('a machine with a registered key', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('has its address, as a C client (%s)', async (version) => {
    const { point, device } = await keygen();
    const address = await register(point);
    await connect(router, await device(address), { version });
    await until(() => isIn(address));
    expect(await registry.device(parseIpv6(address))).toMatchObject({ kind: 'key' });
  });

  it('is refused at another address, and with another key at its own', async () => {
    const [mine, other] = [await keygen(), await keygen()];
    const address = await register(mine.point);
    const elsewhere = await register(other.point);
    for (const who of [await mine.device(elsewhere), await other.device(address)]) {
      const peer = await connect(router, who, OURS);
      expect((await peer.ending).verdict).toEqual({ kind: 'unknown' });
    }
    expect(router.sessions()).toEqual([]);
  });

  it('is cut when another key is registered for its address, and when it is banned', async () => {
    const [mine, next] = [await keygen(), await keygen()];
    const address = await register(mine.point);
    const first = await connect(router, await mine.device(address), OURS);
    await until(() => isIn(address));
    await register(next.point, address);
    expect((await first.ending).how).toBe('orderly');
    const late = await connect(router, await mine.device(address), OURS);
    expect((await late.ending).verdict).toEqual({ kind: 'unknown' });
    const second = await connect(router, await next.device(address), OURS);
    await until(() => isIn(address));
    await setStanding.run(context, { address, change: 'ban' });
    expect((await second.ending).verdict).toMatchObject({ kind: 'banned' });
    expect(isIn(address)).toBe(false);
  });
});
