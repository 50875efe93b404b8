import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { ecdsaSigner, generateP256 } from '../../../crypto/primitives.ts';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { FEW_LINES } from '../../lines.ts';
import { type Attempt, makeBatch, provision } from '../device.ts';
import { type IdentityFiles, identityFiles } from '../identities.ts';
import { scratch } from '../place.ts';
import { countWrites } from '../registry-writes.ts';
import { fabricProgram, type Serving } from './program.ts';

const fabric = fabricProgram();
/** Hundreds of handshakes on a busy machine. */
const LONG_MS = 600_000;
const NETWORK = 'fd00:1:2:3::/64';

/** A fabric that serves, with a batch of devices. */
async function served() {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, ...at);
  const batch = makeBatch();
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
  const written = countWrites(join(data, 'registry.db'));
  const serving = await fabric.serve(data);
  const { xttRoot: root } = parseTrust(readFileSync(trust, 'utf8'));
  const attempt = async (): Promise<Attempt> => ({
    port: serving.identityPort,
    root,
    gid: batch.gid,
    chip: await batch.chip(),
  });
  return { at, serving, written, attempt };
}

/** Provisions a device; its certificate and key. */
async function enrolled(attempt: Attempt): Promise<IdentityFiles & { readonly name: string }> {
  const keys = generateP256();
  const sign = ecdsaSigner(keys.secret);
  const { identity } = await provision({
    ...attempt,
    alter: async (claim, { longtermMessage }) => ({
      ...claim,
      longtermPublicKey: keys.publicKey,
      longtermSignature: await sign(longtermMessage),
    }),
  });
  return { name: formatIpv6(identity), ...(await identityFiles(identity, keys)) };
}

/** Connects to the router, sends nothing, and goes again. */
async function reconnect({ tunnelPort }: Serving, { certificate, key }: IdentityFiles): Promise<void> {
  const options = { host: '127.0.0.1', port: tunnelPort, cert: certificate, key, rejectUnauthorized: false };
  const socket = connect(options, () => socket.end());
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close');
}

test(
  '[H-A6] a device that reconnects a thousand times costs a few lines and writes; another one is let in',
  async () => {
    const { at, serving, written, attempt } = await served();
    const [device, other] = [await enrolled(await attempt()), await enrolled(await attempt())];
    const before = written();
    for (let i = 0; i < 1_000; i++) await reconnect(serving, device);
    const socket = connect({
      ...{ host: '127.0.0.1', port: serving.tunnelPort, rejectUnauthorized: false },
      ...{ cert: other.certificate, key: other.key },
    });
    await once(socket, 'secureConnect');
    const isOnline = async (): Promise<boolean> =>
      (await fabric.json<{ online: boolean }>('device', 'show', other.name, ...at)).online;
    while (!(await isOnline()));
    socket.destroy();
    expect(await serving.stop()).toBe(0);
    const lines = serving.log().split('\n');
    expect(lines.filter((line) => line.includes(device.name)).length).toBeLessThan(3 * FEW_LINES);
    expect(lines.filter((line) => line.includes(`device ${other.name} connected`))).toHaveLength(1);
    expect(lines.join('\n')).toMatch(/connects too often, .* more like it in 60 s\)/);
    expect(written() - before).toBeLessThan(3 * FEW_LINES);
  },
  LONG_MS,
);

test(
  '[H-A6] a device that provisions again and again: one address, few rows, and the commands say how often',
  async () => {
    const { at, serving, attempt } = await served();
    const again = await attempt();
    const { identity } = await provision(again);
    for (let i = 0; i < 200; i++) expect((await provision(again)).identity).toEqual(identity);
    const bad = { ...again, gid: new Uint8Array(32) };
    for (let i = 0; i < 150; i++)
      await expect(provision(bad)).rejects.toMatchObject({ code: 'xtt.error-received' });
    expect(await serving.stop()).toBe(0);

    const name = formatIpv6(identity);
    expect((await fabric.run('device', 'show', name, ...at)).out).toMatch(
      /\nBefore them provisioned again 151 times between 20\d\d-.*Z and 20\d\d-.*Z\n$/,
    );
    const shown = await fabric.json<{ handshakes: []; earlierHandshakes: [] }>('device', 'show', name, ...at);
    expect(shown.handshakes).toHaveLength(50);
    expect(shown.earlierHandshakes).toMatchObject([{ result: 'ok', times: 151 }]);
    expect((await fabric.run('audit', '--handshakes', '--limit', '3', ...at)).out).toMatch(
      /\nNot listed, of those who have proven nothing: refused \(fabric\.group-not-admitted\) 100 times between /,
    );
    const { entries, newest } = await fabric.json<{ entries: number; newest: { action: string }[] }>(
      'audit',
      ...at,
    );
    expect(entries).toBeLessThan(10);
    expect(newest.map(({ action }) => action)).toContain('device.rekey');
  },
  LONG_MS,
);
