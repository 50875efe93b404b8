import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeDecommission } from '../../../protocol/tunnel/decommission.ts';
import { REPORT_REQUEST } from '../../../protocol/tunnel/report.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, type TestRouter } from '../router.ts';
import { openDevice } from './device.ts';

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

const asked = ({ packets }: TestRouter): boolean => packets.some((packet) => packet[0] === 0xf5);

/** A device that is online at a router which has asked for a report, as each of ours does. */
async function online() {
  const place = await openDevice(authority, certificates);
  const agent = await place.run();
  place.router.send(REPORT_REQUEST);
  await agent.until(() => expect(place.router.packets.some((packet) => packet[0] === 0xf3)).toBe(true));
  const status = async () => JSON.parse((await place.on('status', '--json')).out);
  const { address } = await status();
  return { ...place, agent, status, address, confirmed: ['--yes', '--address', address] };
}

describe('decommission', () => {
  test('the fabric retires the device, and everything is removed', async () => {
    const { on, router, status, address, confirmed, credential, agent } = await online();
    const done = on('decommission', ...confirmed);
    await agent.until(() => expect(asked(router)).toBe(true));
    expect(agent.effects.facts().leaving).toBeDefined();
    router.raw(encodeVerdict({ kind: 'retired' }));
    const { code, out, err } = await done;
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`The device ${address} is out of service`);
    expect(out).toContain('The fabric has retired it');
    expect(readdirSync(credential)).toEqual([]);
    expect(await status()).toMatchObject({
      situation: 'decommissioned',
      address,
      decommission: { step: 'done', told: true, credential: 'removed' },
    });
    expect((await on('status')).out).toMatch(/in service +no more since .*, the fabric has retired it\n/);
    // Once more it only says so; nothing is renewed.
    expect(JSON.parse((await on('decommission', '--json')).out)).toEqual({
      address,
      told: true,
      credential: 'removed',
    });
    expect((await on('provision', '--force')).err).toContain('[agent.cannot-renew]');
  });

  test('unless it is confirmed, by name, nothing happens', async () => {
    const { on, router, status, address } = await online();
    expect(await on('decommission', '--yes')).toMatchObject({
      code: 2,
      err: expect.stringContaining('[cli.bad-arguments]'),
    });
    expect((await on('decommission', '--address', address)).code).toBe(2);
    for (const wrong of ['fd00::1', 'none', '', 'yes'])
      expect((await on('decommission', '--yes', '--address', wrong)).err, wrong).toContain(
        '[agent.not-confirmed]',
      );
    // No terminal, nobody to ask.
    expect((await on('decommission')).err).toContain('[os.no-terminal]');
    expect((await on('decommission', '--offline')).err).toContain('[os.no-terminal]');
    expect([asked(router), (await status()).situation]).toEqual([false, 'online']);
  });

  test('a fabric that refuses: its reason, and the device stays', async () => {
    const { on, router, confirmed, status, agent, credential } = await online();
    const done = on('decommission', ...confirmed);
    await agent.until(() => expect(asked(router)).toBe(true));
    router.send(encodeDecommission({ kind: 'refused', reason: 'forbidden' }));
    const { code, err } = await done;
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/\[fabric\.decommission-forbidden\].*\[agent\.not-decommissioned\]/),
    ]);
    expect(err).not.toContain('out of service, and');
    expect((await status()).decommission).toBeNull();
    expect(existsSync(join(credential, 'daa_secretkey.bin'))).toBe(true);
  });

  test('a fabric that does not answer: it is asked on', async () => {
    const { on, router, confirmed, status, agent } = await online();
    const { code, err } = await on('decommission', ...confirmed, '--timeout', '1');
    expect([code, err]).toEqual([1, expect.stringContaining('has not answered yet')]);
    expect(err).toContain('[agent.not-decommissioned]');
    expect((await status()).decommission.step).toBe('asked');
    expect((await on('status')).out).toContain('the fabric is asked to retire this device');
    router.raw(encodeVerdict({ kind: 'retired' }));
    await agent.until(() => expect(agent.driver.situation().kind).toBe('decommissioned'));
  });

  test('not online: the fabric cannot be asked; --offline says what to do there', async () => {
    const { on, router, confirmed, address, agent, status, credential } = await online();
    router.raw(encodeVerdict({ kind: 'banned', seconds: 40 }));
    await agent.trouble('fabric.banned');
    const refused = await on('decommission', ...confirmed);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('[agent.fabric-not-asked]')]);
    expect((await status()).decommission).toBeNull();
    const { code, out } = await on('decommission', '--offline', ...confirmed);
    expect([code, out]).toEqual([0, expect.stringContaining(`enf-fabric device retire ${address}`)]);
    expect(readdirSync(credential)).toEqual([]);
    expect((await status()).decommission).toMatchObject({ step: 'done', told: false });
  });

  test('without an agent, and with a nonsensical timeout', async () => {
    const { on } = await openDevice(authority, certificates);
    expect((await on('decommission')).err).toContain('[agent.not-running]');
    expect((await on('decommission', '--timeout', '0')).err).toContain('[cli.bad-value]');
  });
});
