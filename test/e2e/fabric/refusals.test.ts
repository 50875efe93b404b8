import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, NETWORK, openBatch, softwareIdentity } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type Device, ping, program, type World } from '../world.ts';

/** Runs the rest of the command line as root in name only: no capability left. */
const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];

/** What must not work, beside what must: each test ends with an honest device that still gets in. */
describe('refusals between real programs', () => {
  let world: World;
  let group: string;
  let honest: Device;
  let address: string;

  beforeAll(async () => {
    const batch = await openBatch('refuse');
    ({ world, group } = batch);
    await admit(world, batch.label);
    honest = await inSoftware(world, group, 1);
    honest.start();
    address = (await honest.until('online')).address!;
  });
  afterAll(() => world?.close());

  const stillReachable = async (): Promise<void> => {
    expect(await eventually('an answer', () => ping(world.network.fabric, address))).toBeGreaterThan(0);
  };

  test('a device with another root reveals nothing to this fabric', async () => {
    const elsewhere = join(world.folder, 'elsewhere');
    await must(runIn(world.network.fabric, [...program('fabric'), 'init', '--data', elsewhere]));
    const device = await world.device(2);
    const folder = join(world.folder, 'foreign');
    const trust = join(elsewhere, 'trust.json');
    const args = ['device', 'personalise', '--group', group, '--trust', trust, '--software', folder];
    await must(world.factory(args));
    device.configure({ identity: { mode: 'software', 'credential-dir': folder } });
    const before = (await world.fabric.handshakes()).length;
    device.start();
    // Nobody has proved anything: the device waits, and needs nobody.
    expect((await device.until('backing-off')).trouble?.code).toBe('xtt.unknown-root');
    await device.stop();
    const after = (await world.fabric.handshakes()).slice(before);
    expect(after.every((each) => each.gid === null && each.result !== 'ok')).toBe(true);
    await stillReachable();
  });

  test('a wrong basename is another group: refused', async () => {
    const device = await inSoftware(world, group, 3);
    device.configure({
      identity: { ...softwareIdentity(world, 3), basename: 'other' },
    });
    device.start();
    await eventually('a refusal', async () =>
      (await world.fabric.handshakes()).find(
        (each) => each.source === '10.77.0.13' && each.result === 'fabric.group-not-admitted',
      ),
    );
    expect((await device.until('backing-off')).trouble?.code).toBe('xtt.error-received');
    await device.stop();
    await stillReachable();
  });

  test('an address that belongs to another device is not given away', async () => {
    const device = await world.device(3);
    const identity = softwareIdentity(world, 3);
    device.configure({ identity: { ...identity, address } });
    device.start();
    await eventually('a refusal', async () =>
      (await world.fabric.handshakes()).find((each) => each.result === 'fabric.address-not-yours'),
    );
    await device.stop();
    device.configure({ identity });
    device.start();
    expect((await device.until('online')).address).not.toBe(address);
    await device.stop();
    await stillReachable();
  });

  test('[C-36] a stale key, from a state older than the last handshake, is refused and does not re-provision', async () => {
    const device = await world.device(3);
    const old = join(world.folder, 'old-state');
    cpSync(device.state, old, { recursive: true });
    rmSync(device.state, { recursive: true });
    device.start();
    const { address: own } = await device.until('online'); // a new key under the same pseudonym
    await device.stop();
    rmSync(device.state, { recursive: true });
    cpSync(old, device.state, { recursive: true });
    const before = (await world.fabric.handshakes()).length;
    device.start();
    const now = await device.until('backing-off');
    expect(now.trouble?.code).toBe('fabric.unknown-key');
    expect(now.address).toBe(own);
    expect((await world.fabric.handshakes()).length).toBe(before);
    await device.stop();
    await stillReachable();
  });

  test('slow clients on both ports do not block an honest device', async () => {
    const script = `for port in 443 444; do for i in $(seq 40); do
      { exec {fd}<>/dev/tcp/${FABRIC_ADDRESS}/$port && printf '\\x01\\x00' >&$fd; sleep 30; } & done; done; wait`;
    const loris: Running = startIn(honest.namespace, ['bash', '-c', script], join(world.folder, 'loris.log'));
    try {
      await honest.stop();
      rmSync(honest.state, { recursive: true });
      honest.start();
      expect((await honest.until('online')).address).toBe(address);
    } finally {
      await loris.stop('SIGKILL');
      await runIn(honest.namespace, ['pkill', '-f', '/dev/tcp/']);
    }
    await stillReachable();
  });

  test('the fabric reports which port is in use, and the first one keeps running', async () => {
    const other = join(world.folder, 'second');
    await must(runIn(world.network.fabric, [...program('fabric'), 'init', '--data', other]));
    const second = await runIn(world.network.fabric, [
      ...program('fabric'),
      'serve',
      '--data',
      other,
      '--tun',
      'none',
    ]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('[net.port-busy]');
    expect(second.stderr).toMatch(/→ \S/);
    await stillReachable();
  });

  test('without root privileges the fabric reports what it lacks', async () => {
    const data = join(world.folder, 'powerless');
    await must(runIn(world.network.fabric, [...POWERLESS, ...program('fabric'), 'init', '--data', data]));
    const listen = ['--identity-listen', '127.0.0.1:4440', '--tunnel-listen', '127.0.0.1:4430'];
    const serve = [...program('fabric'), 'serve', '--data', data, ...listen, '--tun', 'enf-powerless'];
    const outcome = await runIn(world.network.fabric, [...POWERLESS, ...serve]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('[os.not-permitted]');
  });

  test('[C-28] without its TPM the agent keeps running, reports it and tries again', async () => {
    const device = await world.device(4);
    device.configure({ tpm: { tcti: 'device:/dev/tpmrm-none' } });
    device.start();
    expect((await device.until('backing-off')).trouble?.code).toBe('tpm.absent');
    await device.stop();
  });

  test('an agent without root privileges reports that it may not create the interface', async () => {
    const device = await inSoftware(world, group, 5);
    device.start({ prefix: POWERLESS });
    expect((await device.until('blocked')).trouble?.code).toBe('os.not-permitted');
    await device.stop();
  });

  test('a network that is not a /64, an invalid label, a group twice: each is refused with its own code', async () => {
    const refusal = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await world.fabric.run(...args);
      expect(code).toBe(1);
      expect(stderr).toMatch(/→ \S/);
      return /\[([a-z0-9.-]+)\]/.exec(stderr)?.[1] ?? stderr;
    };
    expect(await refusal('network', 'add', 'fd00::/48')).toBe('fabric.bad-network');
    expect(await refusal('network', 'add', NETWORK)).toBe('fabric.network-exists');
    expect(await refusal('group', 'add', '--label', 'ENF1:ABC', '--network', NETWORK)).toMatch(/^label\./);
    const label = join(group, 'label.txt');
    expect(await refusal('group', 'add', '--label', label, '--network', NETWORK)).toBe('fabric.group-exists');
    expect(await refusal('device', 'ban', 'fd00:e4f:1::dead')).toBe('fabric.unknown-device');
  });
});
