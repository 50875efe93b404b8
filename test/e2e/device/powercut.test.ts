import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, must, openBatch, personalised } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type Device, program, type World } from '../world.ts';

const RELAY = fileURLToPath(new URL('relay.mjs', import.meta.url));
const RELAY_PORT = 4440;
const MESSAGES = 4;

/**
 * SIGKILL in the middle of provisioning: after each message of the handshake, after each command to the TPM, and at each
 * write to the disk. The next start always ends with the same address, and nothing is left over.
 */
describe('a power cut while provisioning', () => {
  let world: World;
  let device: Device;
  let address: string | undefined;
  let handles: string;

  beforeAll(async () => {
    const batch = await openBatch('cut');
    world = batch.world;
    await admit(world, batch.label);
    device = await personalised(world, batch.group, 1);
    handles = await held();
  });
  afterAll(() => world?.close());

  /** The TPM's persistent objects and lockout counter, as enf-factory shows them. */
  const held = async (): Promise<string> => {
    const text = await must(world.factory(['inspect', '--tcti', device.tpm.tcti], 1));
    return text.replace(', 0x81000001 storage key, exempt from lockout', ''); // made at the first boot
  };

  const relay = async (listen: number, host: string, port: number, count: number): Promise<Running> => {
    const log = join(world.folder, 'relay.log');
    const command = [process.execPath, RELAY, listen, host, port, count].map(String);
    const running = startIn(device.namespace, command, log);
    await eventually('the relay', async () => (running.output().includes('ready') ? true : undefined));
    return running;
  };

  /** Starts with an empty state folder and pulls the plug when `cut` says so; false if it got through first. */
  const firstBoot = async (
    cut: (agent: Running) => Promise<boolean>,
    prefix: readonly string[] = [],
  ): Promise<boolean> => {
    rmSync(device.state, { recursive: true, force: true });
    // One thread for file work, so that the n-th call is the n-th in time.
    const agent = device.start({ prefix, environment: { UV_THREADPOOL_SIZE: '1' } });
    const died = await cut(agent);
    await device.stop('SIGKILL');
    return died;
  };

  const recovers = async (): Promise<void> => {
    device.configure();
    device.start();
    const now = await device.until('online');
    address ??= now.address!;
    expect(now.address).toBe(address);
    expect(await world.fabric.json<unknown[]>('device', 'list')).toHaveLength(1);
    await device.stop();
    expect(await held()).toBe(handles);
  };

  for (let count = 1; count <= MESSAGES; count++) {
    test(`[C-18] after message ${count} of the handshake`, async () => {
      const way = await relay(RELAY_PORT, FABRIC_ADDRESS, 444, count);
      device.configure({ remote: { hosts: ['127.0.0.1'], 'identity-port': RELAY_PORT } });
      const died = await firstBoot(async () => {
        await eventually('the message', async () => (way.output().includes('reached') ? true : undefined));
        return true;
      });
      await way.stop('SIGKILL');
      expect(died).toBe(true);
      await recovers();
    });
  }

  test('[C-18] after each command to the TPM', async () => {
    const { port } = device.tpm;
    let commands = 0;
    for (let count = 1; ; count += 2) {
      const way = await relay(RELAY_PORT, '127.0.0.1', port, count); // a command is a message, its answer the next
      const control = await relay(RELAY_PORT + 1, '127.0.0.1', port + 1, Number.MAX_SAFE_INTEGER);
      device.configure({ tpm: { tcti: `swtpm:host=127.0.0.1,port=${RELAY_PORT}` } });
      const died = await firstBoot(() =>
        eventually(`command ${(count + 1) / 2} or the end`, async () => {
          if (way.output().includes('reached')) return true;
          const online = (await device.status().catch(() => undefined))?.situation === 'online';
          return online ? false : undefined;
        }),
      );
      await way.stop('SIGKILL');
      await control.stop('SIGKILL');
      if (!died) break;
      commands++;
      await recovers();
    }
    expect(commands).toBeGreaterThanOrEqual(10);
  }, 600_000);

  for (const call of ['fsync', 'rename']) {
    test(`[C-16] at each ${call}`, async () => {
      let cuts = 0;
      for (let count = 1; ; count++) {
        const strace = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`];
        device.configure();
        const died = await firstBoot(
          (agent) =>
            eventually('the write or the end', async () => {
              if (agent.gone) return true;
              return (await device.status().catch(() => undefined))?.situation === 'online'
                ? false
                : undefined;
            }),
          [...strace, '-e', `inject=${call}:signal=SIGKILL:when=${count}`],
        );
        if (!died) break;
        cuts++;
        await recovers();
      }
      // The key is durable before it is used, the identity before it is: two generations at the least.
      expect(cuts).toBeGreaterThanOrEqual(2);
    });
  }

  test('after all that, the fabric is intact and the TPM has no leftover objects', async () => {
    expect((await world.fabric.run('audit')).code).toBe(0);
    expect(await held()).toBe(handles);
    const transients = await runIn(device.namespace, [
      ...program('factory'),
      'inspect',
      '--tcti',
      device.tpm.tcti,
    ]);
    expect(transients.stdout).toContain('lockout 0 of');
  });
});
