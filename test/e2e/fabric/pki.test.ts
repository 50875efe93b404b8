/** An agent with a certificate of its owner's CA, beside one without. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CaFolder, caFolder, type MadeCertificate } from '../../fabric/openssl-ca.ts';
import { admit, inSoftware, must, openBatch } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const NETWORK = 'fd00:e4f:1::/64';
const ADDRESS = 'fd00:e4f:1:0:a::1';

describe('a machine with a certificate of its owner’s CA', () => {
  let world: World;
  let files: CaFolder;
  let root: MadeCertificate;
  let issuing: MadeCertificate;
  let device: Device;
  const run = (...words: string[]): Promise<string> => must(world.fabric.run(...words));
  const give = (leaf: MadeCertificate): void => {
    writeFileSync(join(world.folder, 'machine.pem'), leaf.pem + issuing.pem);
    copyFileSync(leaf.keyFile, join(world.folder, 'machine.key'));
  };
  const leaf = (serial: string, key: 'p256' | 'rsa2048' | 'ed25519' = 'p256'): MadeCertificate =>
    files.leaf({ subject: '/CN=machine', by: issuing, addresses: [ADDRESS], serial, key });

  beforeAll(async () => {
    files = caFolder();
    root = files.ca({ subject: '/CN=Plant root', key: 'rsa2048' });
    issuing = files.ca({ subject: '/CN=Plant issuing', by: root });
    const batch = await openBatch('pki');
    world = batch.world;
    await admit(world, batch.label);
    await run('pki', 'add', root.file, '--name', 'plant CA', '--network', NETWORK);
    give(leaf('1001', 'rsa2048'));
    device = await inSoftware(world, batch.group, 1);
    const folder = world.folder;
    device.configure({
      identity: {
        mode: 'pki',
        certificate: join(folder, 'machine.pem'),
        key: join(folder, 'machine.key'),
      },
      remote: { 'tls-root': join(folder, 'credential1', 'tls_root.pem') },
      route: { prefixes: ['fd00:e4f::/32'] },
    });
  }, 120_000);
  afterAll(async () => {
    await world?.close();
    files?.remove();
  });

  test('waits until it is listed, and then has its address and sends packets', async () => {
    device.start();
    await eventually('a refusal', async () => (await device.status()).trouble ?? undefined);
    writeFileSync(join(world.folder, 'devices.csv'), `address,serial\n${ADDRESS},10:01\n`);
    await run('pki', 'import', '1', join(world.folder, 'devices.csv'));
    const status = await device.until('online');
    expect(status).toMatchObject({ address: ADDRESS, mode: 'pki', handshakes: 0 });
    expect(await eventually('an answer', () => ping(world.network.fabric, ADDRESS))).toBeGreaterThan(0);
    const listed = JSON.parse(await run('device', 'list', '--kind', 'pki', '--json'));
    expect(JSON.stringify(listed)).toContain(ADDRESS);
  });

  test('is cut when its certificate is revoked, and comes back with the next one', async () => {
    await run('pki', 'revoke', '1', '1001', '--reason', 'stolen');
    await eventually('the end', async () =>
      (await device.status()).situation === 'online' ? undefined : true,
    );
    writeFileSync(join(world.folder, 'devices.csv'), `address,serial\n${ADDRESS},1002\n`);
    await run('pki', 'import', '1', join(world.folder, 'devices.csv'));
    give(leaf('1002', 'ed25519'));
    await device.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, ADDRESS))).toBeGreaterThan(0);
  });

  test('is cut when the CA is removed', async () => {
    await run('pki', 'remove', '1', '--yes');
    await eventually('the end', async () =>
      (await device.status()).situation === 'online' ? undefined : true,
    );
    expect(await run('pki', 'list')).toContain('No CAs');
  });
});
