/** A machine gets its certificate from the fabric by EST, with openssl and curl, and is a device with it. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { caFolder } from '../../fabric/openssl-ca.ts';
import { newKey, requestOf } from '../../fabric/requests.ts';
import { ownName } from '../../namespaces.ts';
import { must } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, runIn } from '../process.ts';
import { createWorld, type Device, ping, type World } from '../world.ts';

const NETWORK = 'fd00:e4f:1::/64';
const SERVING = ['--est-listen', '0.0.0.0:9443'];

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

describe('a machine without a credential', () => {
  let world: World;
  let device: Device;
  let pin: string;
  const file = (name: string): string => join(world.folder, name);
  const openssl = (...args: string[]): Promise<string> => must(runIn(device.namespace, ['openssl', ...args]));

  /** Asks the fabric as curl does; it knows its key. */
  async function est(operation: string, ...options: string[]): Promise<Answer> {
    const url = `https://${FABRIC_ADDRESS}:9443/.well-known/est/${operation}`;
    const command = ['curl', '-sS', '-i', '--insecure', '--pinnedpubkey', pin, ...options, url];
    const said = await must(runIn(device.namespace, command));
    const [, status, headers = '', body = ''] =
      /^HTTP\/1\.1 (\d+)[^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(said) ?? [];
    return { status: Number(status), headers: headers.toLowerCase(), body };
  }
  const posting = (path: string): string[] => [
    '-H',
    'Content-Type: application/pkcs10',
    '--data-binary',
    `@${path}`,
  ];

  /** Makes a key and a request for a subject. */
  async function request(name: string, subject: string): Promise<string[]> {
    await openssl(
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      file(`${name}.key`),
    );
    await openssl(
      'req',
      '-new',
      '-key',
      file(`${name}.key`),
      '-subj',
      subject,
      '-outform',
      'DER',
      '-out',
      file('r.der'),
    );
    await openssl('base64', '-in', file('r.der'), '-out', file(`${name}.b64`));
    return posting(file(`${name}.b64`));
  }

  /** The certificates in an answer, PEM. */
  async function certificatesIn({ body }: Answer): Promise<string> {
    writeFileSync(file('answer.b64'), body);
    await openssl('base64', '-d', '-in', file('answer.b64'), '-out', file('answer.der'));
    return openssl('pkcs7', '-inform', 'DER', '-in', file('answer.der'), '-print_certs');
  }

  const code = async (...options: string[]): Promise<string> =>
    (await world.fabric.json<{ codes: { code: string }[] }>('code', 'add', '--network', 'plant', ...options))
      .codes[0]!.code;

  beforeAll(async () => {
    world = await createWorld(ownName('est'));
    await must(world.fabric.run('init'));
    await must(world.fabric.run('network', 'add', NETWORK, '--name', 'plant'));
    await must(world.fabric.run('pki', 'create', '--name', 'plant devices', '--network', 'plant'));
    await world.fabric.serve(...SERVING);
    device = await world.device(1);
    copyFileSync(join(world.fabric.data, 'tls-root.pem'), file('tls-root.pem'));
    await openssl(
      'x509',
      '-in',
      join(world.fabric.data, 'router.pem'),
      '-noout',
      '-pubkey',
      '-out',
      file('router.pub'),
    );
    await openssl('pkey', '-pubin', '-in', file('router.pub'), '-outform', 'DER', '-out', file('router.der'));
    await openssl('dgst', '-sha256', '-binary', '-out', file('router.hash'), file('router.der'));
    pin = `sha256//${readFileSync(file('router.hash')).toString('base64')}`;
  }, 120_000);
  afterAll(() => world?.close());

  test('finds the CA, and nothing else without a code', async () => {
    const answer = await est('cacerts');
    expect(answer.status).toBe(200);
    expect(answer.headers).toContain('content-type: application/pkcs7-mime');
    expect(answer.headers).toContain('content-transfer-encoding: base64');
    writeFileSync(file('ca.pem'), await certificatesIn(answer));
    const text = await openssl('x509', '-in', file('ca.pem'), '-noout', '-text');
    expect(text).toMatch(
      /Name Constraints: critical\s+Permitted:\s+IP:FD00:E4F:1:0:0:0:0:0\/FFFF:FFFF:FFFF:FFFF:0/,
    );
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect((await est('csrattrs')).status).toBe(204);
    const asked = await request('nobody', '/CN=nobody');
    const refused = await est('simpleenroll', ...asked);
    expect(refused.status).toBe(401);
    expect(refused.headers).toContain('www-authenticate: basic');
    expect(refused.body).toMatch(/^pki\.bad-code: .+\n.*enf-fabric code add/);
    expect((await est('simplereenroll', ...asked)).status).toBe(403);
    expect((await est('serverkeygen', ...asked)).status).toBe(404);
    expect((await est('simpleenroll')).status).toBe(405);
    expect((await est('simpleenroll', ...asked, '--user', 'x:0000-0000-0000-0000')).status).toBe(401);
  });

  test('gets a certificate for a code, and is a device by it', async () => {
    const user = ['--user', `any:${await code('--name', 'pump-1')}`];
    const asked = await request('first', '/CN=whatever');
    const answer = await est('simpleenroll', ...asked, ...user);
    expect(answer.status).toBe(200);
    expect(answer.headers).toContain('content-type: application/pkcs7-mime; smime-type=certs-only');
    writeFileSync(file('first.pem'), await certificatesIn(answer));
    expect(
      await openssl('verify', '-CAfile', file('ca.pem'), '-purpose', 'sslclient', file('first.pem')),
    ).toContain('OK');
    // The answer may have been lost: the same key gets it again, another one nothing.
    expect((await est('simpleenroll', ...asked, ...user)).body).toBe(answer.body);
    expect((await est('simpleenroll', ...(await request('second', '/CN=x')), ...user)).status).toBe(401);

    device.configure({
      identity: { mode: 'pki', certificate: file('machine.pem'), key: file('machine.key') },
      remote: { 'tls-root': file('tls-root.pem') },
      route: { prefixes: ['fd00:e4f::/32'] },
    });
    copyFileSync(file('first.pem'), file('machine.pem'));
    copyFileSync(file('first.key'), file('machine.key'));
    device.start();
    const { address } = await device.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    const listed = await world.fabric.json<{ name: string; address: string; kind: string }[]>(
      'device',
      'list',
    );
    expect(listed).toMatchObject([{ name: 'pump-1', address, kind: 'pki' }]);
  });

  test('renews it, and has the same address', async () => {
    const { address } = await device.status();
    const shown = ['--cert', file('first.pem'), '--key', file('first.key')];
    const other = await est('simplereenroll', ...(await request('other', '/CN=other')), ...shown);
    expect([other.status, other.body]).toEqual([400, expect.stringMatching(/^pki\.other-subject: /)]);
    const answer = await est('simplereenroll', ...(await request('next', `/CN=${address}`)), ...shown);
    expect(answer.status).toBe(200);
    await device.stop();
    writeFileSync(file('machine.pem'), await certificatesIn(answer));
    copyFileSync(file('next.key'), file('machine.key'));
    device.start();
    expect((await device.until('online')).address).toBe(address);
    const issued = await world.fabric.json<{ parent: string | null; serial: string }[]>('pki', 'issued');
    expect(issued.map(({ parent }) => parent)).toEqual([issued[1]!.serial, null]);
  });

  test('is cut when its lineage is revoked, and cannot renew', async () => {
    const issued = await world.fabric.json<{ serial: string }[]>('pki', 'issued');
    const revoke = ['pki', 'revoke', '1', issued[1]!.serial, '--reason', 'stolen'];
    expect(await must(world.fabric.run(...revoke))).toContain(
      `Still valid, of the same lineage: ${issued[0]!.serial}`,
    );
    expect((await device.status()).situation).toBe('online');
    expect(await must(world.fabric.run(...revoke, '--lineage'))).toContain(
      `Revoked with it: ${issued[0]!.serial}`,
    );
    await eventually('the end', async () =>
      (await device.status()).situation === 'online' ? undefined : true,
    );
    const shown = ['--cert', file('machine.pem'), '--key', file('machine.key')];
    const answer = await est('simplereenroll', ...posting(file('next.b64')), ...shown);
    expect([answer.status, answer.body]).toEqual([403, expect.stringMatching(/^pki\.revoked: /)]);
  });

  test('gets one without a code by the certificate of its maker, if the owner lets it', async () => {
    const files = caFolder();
    const [maker, by] = [files.ca({ subject: '/CN=maker' }), 'maker.pem'];
    const issuing = files.ca({ subject: '/CN=maker issuing', by: maker });
    const machine = files.leaf({ subject: '/CN=serial 4711', by: issuing, addresses: [] });
    writeFileSync(file(by), maker.pem);
    writeFileSync(file('idevid.pem'), machine.pem + issuing.pem);
    writeFileSync(file('idevid.key'), machine.key);
    files.remove();
    const shown = ['--cert', file('idevid.pem'), '--key', file('idevid.key')];
    const asked = await request('made', '/CN=made');
    expect((await est('simpleenroll', ...asked, ...shown)).status).toBe(401);
    const { id } = await world.fabric.json<{ id: number }>(
      ...['pki', 'add', file(by), '--name', 'maker', '--network', 'plant', '--admit', 'anybody'],
    );
    expect((await est('simpleenroll', ...asked, ...shown)).status).toBe(401);
    await must(world.fabric.run('pki', 'enrols', String(id), 'plant'));
    const answer = await est('1/simpleenroll', ...asked, ...shown);
    expect(answer.status).toBe(200);
    writeFileSync(file('made.pem'), await certificatesIn(answer));
    const third = await world.device(3);
    third.configure({
      identity: { mode: 'pki', certificate: file('made.pem'), key: file('made.key') },
      remote: { 'tls-root': file('tls-root.pem') },
      route: { prefixes: ['fd00:e4f::/32'] },
    });
    third.start();
    const { address } = await third.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    // After a reset it comes with another key: who has the former one is out.
    expect((await est('simpleenroll', ...(await request('again', '/CN=x')), ...shown)).status).toBe(200);
    await eventually('the end', async () =>
      (await third.status()).situation === 'online' ? undefined : true,
    );
    await must(world.fabric.run('pki', 'enrols', String(id), 'none'));
    expect((await est('simpleenroll', ...asked, ...shown)).status).toBe(401);
  });

  test('enrolls by its own agent, which renews by itself', async () => {
    const other = await world.device(2);
    other.configure({
      identity: { mode: 'pki' },
      remote: { 'tls-root': file('tls-root.pem') },
      route: { prefixes: ['fd00:e4f::/32'] },
    });
    writeFileSync(file('code'), await code('--name', 'pump-2'));
    other.start();
    await other.until('blocked');
    await must(other.agent('enroll', '--code-file', file('code')));
    const { address } = await other.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    await must(other.agent('provision', '--force'));
    const issued = await eventually('a renewal', async () => {
      const rows = await world.fabric.json<{ parent: string | null }[]>(
        'pki',
        'issued',
        '--address',
        address!,
      );
      return rows.length === 2 ? rows : undefined;
    });
    expect(issued[0]!.parent).not.toBeNull();
    await eventually('the tunnel by it', async () => {
      const { situation, address: now } = await other.status();
      return situation === 'online' && now === address ? true : undefined;
    });
    await other.stop();
  });

  test('[H-C14] has what it was given when the fabric is killed, and no other has its address', async () => {
    const COUNT = 9;
    const options = ['--network', 'plant', '--count', String(COUNT)];
    const { codes } = await world.fabric.json<{ codes: { code: string }[] }>('code', 'add', ...options);
    const asks = codes.map(({ code: each }, i) => {
      writeFileSync(file(`k${i}.b64`), encodeBase64(requestOf({ key: newKey() })));
      return ['simpleenroll', ...posting(file(`k${i}.b64`)), '--user', `x:${each}`] as const;
    });
    const early = asks.map((ask) => est(...ask).catch(() => undefined));
    // Some are done by then, most are not.
    await Promise.race(early);
    await world.fabric.stop('SIGKILL');
    const first = await Promise.all(early);
    await world.fabric.serve(...SERVING);
    const answers: Answer[] = [];
    for (const ask of asks)
      answers.push(
        await eventually('an answer', async () => {
          const answer = await est(...ask);
          return answer.status === 200 ? answer : undefined;
        }),
      );
    for (const [i, answer] of first.entries())
      if (answer?.status === 200) expect(answer.body).toBe(answers[i]!.body);
    const issued = await world.fabric.json<{ address: string }[]>('pki', 'issued');
    expect(issued).toHaveLength(6 + COUNT);
    expect(new Set(issued.map(({ address }) => address)).size).toBe(3 + COUNT);
    await must(world.fabric.run('audit'));
  });

  test('finds its CA in a fabric that was restored', async () => {
    const asked = [
      'simpleenroll',
      ...(await request('third', '/CN=x')),
      '--user',
      `x:${await code()}`,
    ] as const;
    await must(world.fabric.run('backup', 'create', file('backup.tar')));
    await world.fabric.stop();
    await must(runIn(world.network.fabric, ['rm', '-r', world.fabric.data]));
    await must(world.fabric.run('restore', file('backup.tar')));
    await world.fabric.serve(...SERVING);
    expect((await est(...asked)).status).toBe(200);
  });
});
