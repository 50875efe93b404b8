import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { toBuffer } from 'qrcode';
import { describe, expect, test } from 'vitest';
import { commands } from '../../../fabric/commands/all.ts';
import { ascii, concat, toHex } from '../../../protocol/bytes.ts';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { encodeLabel } from '../../../protocol/label.ts';
import { type Batch, makeBatch, provision } from '../device.ts';
import { png } from '../labels/pictures.ts';
import { random, scratch } from '../place.ts';
import { fabricProgram } from './program.ts';
import { tunnel } from './tunnel.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

/** A founded fabric with a network. */
async function founded(): Promise<{ data: string; root: Uint8Array; tlsRoot: string; at: string[] }> {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  const { xttRoot, tlsRoot } = parseTrust(readFileSync(trust, 'utf8'));
  return { data, root: xttRoot, tlsRoot, at };
}

interface DeviceJson {
  address: string;
  standing: string;
  online: boolean | null;
  lastTunnel: { from: string; ended: string | null } | null;
  handshakes: { source: string; result: string; proven: boolean }[];
}

describe('init', () => {
  test('makes a private folder that keeps its secrets, once', async () => {
    const data = join(scratch(), 'fabric');
    const { code, out } = await fabric.run('init', '--data', data);
    expect(code).toBe(0);
    expect(out).toContain(join(data, 'trust.json'));
    const mode = (name: string): string => (statSync(join(data, name)).mode & 0o777).toString(8);
    expect(mode('.')).toBe('700');
    for (const secret of ['xtt-root.key', 'xtt-server.key', 'tls-root.key', 'router.key', 'registry.db']) {
      expect(mode(secret), secret).toBe('600');
    }
    expect(statSync(join(data, 'xtt-root.cert')).size).toBe(81);
    expect(statSync(join(data, 'xtt-server.cert')).size).toBe(169);
    expect(statSync(join(data, 'tls-root.pem')).size).toBeLessThanOrEqual(768);

    const before = readFileSync(join(data, 'xtt-root.key'));
    expect(await fabric.refusal('init', '--data', data)).toMatchObject({
      code: 'fabric.already-initialised',
    });
    expect(readFileSync(join(data, 'xtt-root.key'))).toEqual(before);
  });

  test('leaves a folder with other things alone', async () => {
    const folder = scratch();
    writeFileSync(join(folder, 'letter.txt'), 'dear');
    expect(await fabric.refusal('init', '--data', folder)).toMatchObject({
      code: 'fabric.already-initialised',
    });
    expect(readFileSync(join(folder, 'letter.txt'), 'utf8')).toBe('dear');
  });
});

describe('networks and groups', () => {
  test('a label is taken as text, text file or picture; its fingerprint is shown', async () => {
    const { at } = await founded();
    const batches = ['text', 'file', 'picture'].map((name) => makeBatch(name, random(16)));
    const [text, file, picture] = batches as [Batch, Batch, Batch];
    const folder = scratch();
    writeFileSync(join(folder, 'label.txt'), `${file.label}\n`);
    writeFileSync(join(folder, 'label.png'), await toBuffer(picture.label, { scale: 4 }));
    const add = async (label: string): Promise<string> =>
      (await fabric.run('group', 'add', '--label', label, '--network', NETWORK, ...at)).out;

    const print = (batch: Batch): string =>
      toHex(batch.gid)
        .slice(0, 20)
        .replace(/(.{4})(?!$)/g, '$1 ');
    expect(await add(text.label)).toContain(print(text));
    expect(await add(join(folder, 'label.txt'))).toContain(print(file));
    expect(await add(join(folder, 'label.png'))).toContain(print(picture));
    const groups = await fabric.json<object[]>('group', 'list', ...at);
    expect(groups).toMatchObject(
      batches.map((batch) => ({ gid: toHex(batch.gid), status: 'active', hasClaim: true, devices: 0 })),
    );
    expect((await fabric.run('group', 'list', ...at)).out).toContain(print(picture));
  });

  test('what is no label is refused by name', async () => {
    const { at } = await founded();
    const { label, gpk, basename } = makeBatch();
    const folder = scratch();
    const refused = async (given: string): Promise<string> =>
      (await fabric.refusal('group', 'add', '--label', given, '--network', NETWORK, ...at)).code;
    writeFileSync(join(folder, 'other.png'), await toBuffer('https://example.org/'));
    writeFileSync(join(folder, 'broken.png'), random(500));
    writeFileSync(join(folder, 'empty.txt'), '');
    expect(await refused(join(folder, 'broken.png'))).toBe('label.not-a-picture');
    expect(await refused(join(folder, 'other.png'))).toMatch(/^label\./);
    expect(await refused(join(folder, 'empty.txt'))).toMatch(/^label\./);
    expect(await refused(join(folder, 'none.txt'))).toBe('os.no-file');
    expect(await refused(label.slice(0, -2))).toMatch(/^label\./);
    // A well-formed label around a key that is not on the curve.
    const off = gpk.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
    expect(await refused(encodeLabel({ gpk: off, basename, name: 'forged' }))).toBe('ecdaa.bad-group-key');
    expect(await fabric.json('group', 'list', ...at)).toEqual([]);

    const elsewhere = ['group', 'add', '--label', label, '--network', 'fd00:9::/64', ...at];
    expect(await fabric.refusal(...elsewhere)).toMatchObject({ code: 'fabric.unknown-network' });
    expect(await fabric.refusal('network', 'add', 'fe80::/64', ...at)).toMatchObject({
      code: 'fabric.bad-network',
    });
    expect(await fabric.refusal('network', 'add', 'fd00::1/64', ...at)).toMatchObject({
      code: 'ipv6.bad-prefix',
    });
  });

  test('[H-D2] a group without a label is admitted by its public key and basename', async () => {
    const { at } = await founded();
    const folder = scratch();
    const { gpk, basename, gid } = makeBatch('old', random(16));
    const [key, name] = [join(folder, 'gpk.bin'), join(folder, 'basename.bin')];
    writeFileSync(key, gpk);
    writeFileSync(name, basename);
    const add = ['group', 'add', '--network', NETWORK, ...at, '--gpk', key];
    const named = [...add, '--name', 'Old batch'];
    expect(await fabric.refusal(...named)).toMatchObject({ code: 'cli.missing-option' });
    expect(await fabric.refusal(...named, '--basename', '')).toMatchObject({ code: 'label.bad-basename' });
    expect(await fabric.refusal(...named, '--basename', name, '--label', 'ENF1:X')).toMatchObject({
      code: 'cli.bad-option',
    });
    expect(await fabric.refusal('group', 'add', '--network', NETWORK, ...at)).toMatchObject({
      code: 'cli.missing-option',
    });
    writeFileSync(key, gpk.subarray(1));
    expect(await fabric.refusal(...named, '--basename', name)).toMatchObject({ code: 'os.bad-length' });
    writeFileSync(
      key,
      gpk.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
    );
    expect(await fabric.refusal(...named, '--basename', name)).toMatchObject({ code: 'ecdaa.bad-group-key' });
    writeFileSync(key, gpk);
    expect(await fabric.json(...named, '--basename', name)).toMatchObject({
      gid: toHex(gid),
      name: 'Old batch',
      hasClaim: false,
    });
    expect(await fabric.refusal(...named, '--basename', name)).toMatchObject({ code: 'fabric.group-exists' });
  });

  test('[H-A7] a picture that was made to fill the memory is refused, whatever its name', async () => {
    const { at } = await founded();
    const folder = scratch();
    const refused = async (name: string, picture: Uint8Array): Promise<string> => {
      writeFileSync(join(folder, name), picture);
      const given = ['--label', join(folder, name), '--network', NETWORK];
      return (await fabric.refusal('group', 'add', ...given, ...at)).code;
    };
    expect(await refused('wide.png', png(60_000, 60_000, 1_000))).toBe('label.picture-too-large');
    expect(await refused('bomb.png', png(500, 500, 200_000_000))).toBe('label.picture-too-large');
    expect(await refused('label', png(500, 500, 200_000_000))).toBe('label.picture-too-large');
    expect(await refused('white.png', png(500, 500, 500 * 501))).toBe('label.no-code');
    expect(
      await refused('big.heic', concat(Uint8Array.of(0, 0, 0, 24), ascii('ftypheic'), random(100_000))),
    ).toBe('label.not-a-picture');
    expect(await refused('random', random(100_000))).toBe('label.not-a-picture');
    expect((await fabric.run('picture-process')).err).toContain('group add');
  });

  test('without a fabric every command says where it looked', async () => {
    const nowhere = ['--data', join(scratch(), 'nothing')];
    for (const command of [['network', 'list'], ['group', 'list'], ['device', 'list'], ['audit']]) {
      expect(await fabric.refusal(...command, ...nowhere)).toMatchObject({ code: 'registry.absent' });
    }
    expect(await fabric.refusal('serve', '--tun', 'none', ...nowhere)).toMatchObject({
      code: 'fabric.not-initialised',
    });
  });
});

describe('serve', () => {
  test('a device provisions, is seen, banned, cut, unbanned, evicted and suspended while it serves', async () => {
    const { data, root, tlsRoot, at } = await founded();
    const serving = await fabric.serve(data);
    const batch = makeBatch();
    const chip = await batch.chip();
    const attempt = { port: serving.identityPort, root, gid: batch.gid, chip };
    await expect(provision(attempt)).rejects.toMatchObject({ code: 'xtt.error-received' });

    await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
    const { identity } = await provision(attempt);
    const address = formatIpv6(identity);
    expect(await fabric.json('device', 'list', ...at)).toMatchObject([
      { address, standing: 'active', online: false, group: 'batch 7', lastTunnel: null },
    ]);

    const connected = await tunnel({
      ...attempt,
      port: serving.tunnelPort,
      identityPort: serving.identityPort,
      ca: tlsRoot,
    });
    await connected.until(async () => {
      const shown = await fabric.json<DeviceJson>('device', 'show', address, ...at);
      return shown.online === true && shown.lastTunnel !== null;
    });
    // The command returns when the fabric has acted on it.
    expect((await fabric.run('device', 'ban', address, ...at)).out).toContain('in force');
    await connected.closed;
    await expect(provision(attempt)).rejects.toMatchObject({ code: 'xtt.error-received' });
    const shown = await fabric.json<DeviceJson>('device', 'show', address, ...at);
    expect(shown).toMatchObject({
      standing: 'banned',
      online: false,
      lastTunnel: { ended: expect.any(String) },
    });
    expect(shown.handshakes.map((each) => each.result)).toEqual([
      'fabric.device-banned',
      'ok',
      'ok',
      'fabric.group-not-admitted',
    ]);

    await fabric.json('device', 'unban', address, ...at);
    await fabric.json('device', 'evict', address, ...at);
    expect(await fabric.json('device', 'show', address, ...at)).toMatchObject({ standing: 'evicted' });
    expect((await provision(attempt)).identity).toEqual(identity);

    await fabric.json('group', 'suspend', toHex(batch.gid).slice(0, 8), ...at);
    expect(await fabric.json('device', 'show', address, ...at)).toMatchObject({ standing: 'suspended' });
    await expect(provision(attempt)).rejects.toMatchObject({ code: 'xtt.error-received' });
    await fabric.json('group', 'resume', toHex(batch.gid).slice(0, 8), ...at);
    await provision(attempt);

    const { newest } = await fabric.json<{ newest: { action: string; actor: string }[] }>('audit', ...at);
    expect(newest.map((entry) => entry.action)).toEqual([
      'fabric.init',
      'network.add',
      'group.add',
      'device.admit',
      'device.rekey',
      'device.ban',
      'device.unban',
      'device.evict',
      'device.readmit',
      'group.suspend',
      'group.resume',
      'device.rekey',
    ]);
    expect(newest.filter((entry) => entry.actor === 'fabric')).toHaveLength(4);
    const handshakes = await fabric.json<{ result: string }[]>('audit', '--handshakes', ...at);
    expect(handshakes.map((each) => each.result)).toEqual([
      'fabric.group-not-admitted',
      'ok',
      'ok',
      'fabric.device-banned',
      'ok',
      'fabric.group-suspended',
      'ok',
    ]);
    expect(await serving.stop()).toBe(0);
    expect(await fabric.json('device', 'list', ...at)).toMatchObject([{ address, online: null }]);
  });

  test('only once per folder, and again after it was killed', async () => {
    const { data, at } = await founded();
    const first = await fabric.serve(data);
    const second = ['serve', '--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0'];
    expect(await fabric.refusal(...second, '--tun', 'none', ...at)).toMatchObject({ code: 'control.in-use' });
    await first.stop('SIGKILL');
    expect(existsSync(join(data, 'control.sock'))).toBe(true);
    const third = await fabric.serve(data);
    expect(await third.stop('SIGINT')).toBe(0);
    expect(existsSync(join(data, 'control.sock'))).toBe(false);
  });

  test('names a port that is taken and an address that is none', async () => {
    const { at } = await founded();
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    const identity = (listen: string): string[] => [
      ...['serve', '--tun', 'none', '--identity-listen', listen],
      ...['--tunnel-listen', '127.0.0.1:0', ...at],
    ];
    expect(await fabric.refusal(...identity(`127.0.0.1:${port}`))).toMatchObject({ code: 'net.port-busy' });
    expect(await fabric.refusal(...identity('localhost:444'))).toMatchObject({
      code: 'cli.bad-option',
    });
    expect(await fabric.refusal(...identity('192.0.2.1:444'))).toMatchObject({ code: 'net.no-such-address' });
    other.close();
  });

  test('refuses files that do not belong together', async () => {
    const [one, two] = [await founded(), await founded()];
    const foreign = readFileSync(join(two.data, 'xtt-server.cert'));
    rmSync(join(one.data, 'xtt-server.cert'));
    writeFileSync(join(one.data, 'xtt-server.cert'), foreign);
    expect(await fabric.refusal('serve', '--tun', 'none', ...one.at)).toMatchObject({
      code: 'fabric.bad-authority',
    });
    writeFileSync(join(one.data, 'xtt-server.cert'), foreign.subarray(1));
    expect(await fabric.refusal('serve', '--tun', 'none', ...one.at)).toMatchObject({
      code: 'os.bad-length',
    });
  });
});

test('audit accepts its own head and refuses another', async () => {
  const { at } = await founded();
  const { out } = await fabric.run('audit', ...at);
  const head = /head (\d+:[0-9a-f]{64})/.exec(out)![1]!;
  expect((await fabric.run('audit', '--expect', head, ...at)).code).toBe(0);
  const other = head.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  expect(await fabric.refusal('audit', '--expect', other, ...at)).toMatchObject({ code: 'audit.broken' });
  expect(await fabric.refusal('audit', '--expect', 'nonsense', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });
  expect(await fabric.refusal('audit', '--limit', '0', ...at)).toMatchObject({ code: 'cli.bad-option' });
});

test('the help names every command, and each has an example of itself', async () => {
  const { out } = await fabric.run('--help');
  for (const command of commands) {
    expect(out).toMatch(new RegExp(`^  ${command.name} +\\S`, 'm'));
    expect(command.examples?.every((each) => each.startsWith(`enf-fabric ${command.name}`))).toBe(true);
  }
  expect((await fabric.run('device', 'ban', '--help')).out).toContain('Examples:\n  enf-fabric device ban');
});
