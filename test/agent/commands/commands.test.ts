import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { writeReport } from '../../../agent/doctor/bugreport.ts';
import { CHECKS } from '../../../agent/doctor/checks/all.ts';
import { machineProbes } from '../../../agent/doctor/machine.ts';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { fromHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { makeRootCertificate } from '../../../protocol/xtt/certificate.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { fakeProbes } from '../probes.ts';
import { makeCertificates, startTestRouter } from '../router.ts';
import { openDevice } from './device.ts';

// The commands as a person types them, over loopback and in software mode; only the TUN is none.

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

const device = (more: Parameters<typeof openDevice>[2] = {}) => openDevice(authority, certificates, more);

/** A port that takes connections and says nothing, or closes at once. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('provision', () => {
  test('--force: a new key at the same address, and the outcome is waited for', async () => {
    const { router, on, run } = await device();
    const agent = await run();
    const { address } = JSON.parse((await on('status', '--json')).out);
    expect((await on('provision')).err).toContain('[agent.not-confirmed]');
    expect(authority.devices.size).toBe(1);
    const { code, out } = await on('provision', '--force');
    expect([code, out]).toEqual([0, `provisioned: identity ${address}\n`]);
    await agent.until(() => expect(router.clientKeys).toHaveLength(2));
    expect(router.clientKeys[0]).not.toEqual(router.clientKeys[1]);
    expect([...authority.devices.values()].map((row) => row.handshakes)).toEqual([2]);
  });

  test('an agent of an earlier version is asked again and again', async () => {
    const { on, run } = await device({ old: true });
    await run();
    expect(await on('provision', '--force')).toMatchObject({ code: 0, err: '' });
  });

  test('[H-B8] the cause of a refusal is told, however short it stands in the status', async () => {
    const { on, run, credential } = await device();
    const agent = await run();
    const root = makeRootCertificate(primitives.random(16), generateP256().publicKey);
    writeFileSync(join(credential, 'root_cert.bin'), root);
    for (let i = 0; i < 5; i++) {
      const { code, err } = await on('provision', '--force');
      expect([code, err]).toEqual([
        1,
        expect.stringMatching(/\[xtt\.unknown-root\].*\[agent\.not-renewed\]/),
      ]);
      await agent.online();
    }
  });

  test('without an agent, and with a nonsensical timeout', async () => {
    const { on } = await device();
    expect((await on('provision', '--force')).err).toContain('[agent.not-running]');
    expect(await on('provision', '--force', '--timeout', 'soon')).toMatchObject({
      code: 2,
      err: expect.stringContaining('[cli.bad-value]'),
    });
  });
});

describe('netcheck', () => {
  test('a router of the fabric: latency, TLS, full-size packets', async () => {
    const { router, on } = await device();
    const { code, out } = await on('netcheck', '--json');
    const report = JSON.parse(out);
    expect([code, report]).toMatchObject([
      0,
      {
        usable: true,
        unresolved: [],
        addresses: [
          {
            address: '127.0.0.1',
            family: 4,
            route: { device: 'lo' },
            ports: [
              { port: router.port, purpose: 'tunnel', connectMs: expect.any(Number) },
              { purpose: 'identity', connectMs: expect.any(Number) },
            ],
            tls: { verdict: 'trusted', issuer: 'root' },
            fullPackets: true,
          },
        ],
      },
    ]);
    expect((await on('netcheck')).out).toMatch(
      / a router of this fabric, signed by root.*\n.*packets arrive\nA tunnel can be set up from here\./,
    );
  });

  test('another fabric’s router, no server, and a server that does not answer', async () => {
    const { on, write } = await device();
    write((await startTestRouter(makeCertificates())).port);
    const foreign = await on('netcheck');
    expect([foreign.code, foreign.out]).toEqual([
      1,
      expect.stringMatching(/not a router of this fabric.*\n[\s\S]*No tunnel can be set up/),
    ]);
    write(1);
    const nobody = JSON.parse((await on('netcheck', '--json')).out);
    expect(nobody).toMatchObject({ usable: false, addresses: [{ tls: null, fullPackets: null }] });
    expect(nobody.addresses[0].ports[0]).toMatchObject({ error: 'net.unreachable' });
    write(await silentPort());
    expect(JSON.parse((await on('netcheck', '--json')).out)).toMatchObject({
      usable: false,
      addresses: [
        { tls: { verdict: 'broken', reason: expect.stringContaining('not finished') }, fullPackets: null },
      ],
    });
  });

  test('a name that does not resolve', async () => {
    const { on } = await device({ host: 'nowhere.invalid' });
    const { code, out } = await on('netcheck');
    expect([code, out]).toEqual([1, expect.stringContaining('nowhere.invalid: no address found')]);
  });
});

describe('doctor', () => {
  const only = (...ids: string[]) => ids.flatMap((id) => ['--only', id]);

  test('on this machine: every check has a finding, and the exit code tells the worst', async () => {
    const { on, run } = await device();
    await run();
    const { code, out } = await on('doctor', '--json');
    const { healthy, findings } = JSON.parse(out);
    expect(findings.map(({ id }: { id: string }) => id)).toEqual(CHECKS.map(({ id }) => id));
    expect(findings.filter(({ message }: { message: string }) => message.includes('broke'))).toEqual([]);
    expect(code).toBe(healthy ? 0 : 1);
    const outcome = Object.fromEntries(
      findings.map(({ id, outcome }: { id: string; outcome: string }) => [id, outcome]),
    );
    expect(outcome).toMatchObject({
      'tpm-device': 'skipped',
      'tpm-capabilities': 'skipped',
      credential: 'ok',
      dns: 'skipped',
      route: 'ok',
      ports: 'ok',
      tls: 'ok',
      state: 'ok',
      'path-mtu': 'ok',
      names: 'skipped',
    });
  });

  test('nothing is changed: no state, no folder, no file', async () => {
    const { on, place, state } = await device();
    await on('doctor');
    expect([existsSync(state), readdirSync(place)]).toEqual([false, ['agent.toml']]);
  });

  test('a failure is an exit code of 1; warnings and skipped checks are none', async () => {
    const { on, write, credential } = await device();
    expect((await on('doctor', ...only('dns', 'state', 'credential'))).code).toBe(0);
    write(1);
    const failed = await on('doctor', ...only('ports', 'tls'));
    expect([failed.code, failed.out]).toEqual([
      1,
      expect.stringMatching(/^failed +ports .*port 1 .*\n +→ .*\nskipped +tls/),
    ]);
    writeFileSync(join(credential, 'daa_secretkey.bin'), new Uint8Array(32).fill(7));
    expect((await on('doctor', ...only('credential'))).code).toBe(1);
  });

  test('a check that does not exist', async () => {
    const { on } = await device();
    expect(await on('doctor', '--only', 'dna')).toMatchObject({
      code: 2,
      err: expect.stringContaining('dns'),
    });
  });

  test('[C-9] a login page on port 80 or in the place of the router', async () => {
    const { write, config } = await device();
    write((await startTestRouter(makeCertificates())).port);
    const captive = CHECKS.find(({ id }) => id === 'captive-portal')!;
    expect(await captive.run(machineProbes(config()))).toMatchObject({ outcome: 'failed' });
    const page = createHttpServer((_, response) => {
      response.writeHead(302, { location: 'http://login.hotel/' }).end();
    });
    const { tryHttp } = await import('../../../os/net/probe.ts');
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void page.close());
    const at = { address: '127.0.0.1', mark: 0, timeoutMs: 2_000 };
    const { port } = page.address() as AddressInfo;
    expect(await tryHttp({ ...at, port })).toEqual({ status: 302, redirectsTo: 'login.hotel' });
    expect(await tryHttp({ ...at, port: 1 })).toBeUndefined();
    expect(await tryHttp({ ...at, port: await silentPort(), timeoutMs: 100 })).toBeUndefined();
  });
});

describe('[C-39] bugreport', () => {
  test('one private file with everything in it', async () => {
    const { on, run, place } = await device();
    await run();
    const file = join(place, 'report.txt');
    const { code, out } = await on('bugreport', '--out', file);
    expect([code, out]).toEqual([0, expect.stringContaining(file)]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    for (const part of [
      '==== program\nenf-agent',
      '==== configuration\n[remote]',
      '"situation": "online"',
      '==== doctor\n',
      '"keyKind": "software"',
      '==== ip address\n[',
      '"ifname": "lo"',
      '==== ip -6 rule\n[',
      '==== log, last 200 lines\n',
    ]) {
      expect(text).toContain(part);
    }
    expect((await on('bugreport', '--out', file)).err).toContain('[os.exists]');
  });

  test('[C-39] secrets planted in state, keys, configuration, environment and log do not get into it', async () => {
    const planted = 'PLANTED-hunter2';
    const { on, run, credential, state, file, config, place } = await device({
      comment: `# password = "${planted}"`,
    });
    await run();
    const environment = {
      ENF_PASSWORD: planted,
      NOTIFY_SECRET: planted,
      HTTPS_PROXY: `http://u:${planted}@proxy`,
    };
    Object.assign(process.env, environment);
    onTestFinished(() => {
      for (const name of Object.keys(environment)) delete process.env[name];
    });
    const record = readdirSync(state)
      .map((name) => readFileSync(join(state, name), 'utf8'))
      .join('\n');
    const keys = [...record.matchAll(/"der": "([0-9a-f]+)"/g)].map((match) => match[1]!);
    expect(keys.length).toBeGreaterThan(0);
    const secrets = [...keys.map(fromHex), ...keys.map((key) => fromHex(key.slice(14, 78)))];
    for (const name of ['daa_secretkey.bin', 'daa_cred.bin'])
      secrets.push(new Uint8Array(readFileSync(join(credential, name))));
    const shapes = secrets.flatMap((secret) => {
      const buffer = Buffer.from(secret);
      return [
        buffer.toString('hex'),
        buffer.toString('hex').toUpperCase(),
        buffer.toString('base64'),
        buffer.toString('base64url'),
      ];
    });
    const log = [
      ...shapes.map((shape) => `it said ${shape} and`),
      ...shapes.map((shape) => `key="${shape}"`),
      `-----BEGIN EC PRIVATE KEY-----\n${shapes[2]!.match(/.{1,64}/g)!.join('\n')}\n-----END EC PRIVATE KEY-----`,
      `password: ${planted}`,
      `http://user:${planted}@proxy.example/`,
      `{"token":"${planted}"}`,
    ].join('\n');
    const sources = { log: async () => log, ip: async () => [{ auth: planted }], system: async () => 'test' };
    const report = await writeReport(machineProbes(config()), undefined, sources, CHECKS);
    const own = join(place, 'own.txt');
    await on('bugreport', '--out', own);

    writeFileSync(file, `${readFileSync(file, 'utf8')}\n[tpm]\ntcti = "${planted}"\n`);
    const refused = await on('bugreport', '--out', '-');
    expect(refused.out).toContain('config.bad-value');
    writeFileSync(file, `password = "${planted}"`);
    const broken = await on('bugreport', '--out', '-');
    expect(broken.out).toContain('config.unknown-key');

    for (const text of [report, readFileSync(own, 'utf8'), refused.out, broken.out]) {
      expect(text).not.toContain(planted);
      for (const shape of shapes) expect(text.includes(shape), shape.slice(0, 8)).toBe(false);
      // Nor in pieces: no line of a key's base64 survives.
      for (const shape of shapes.filter((each) => each.length > 80))
        expect(text).not.toContain(shape.slice(10, 50));
    }
  });

  test('[C-39] a value that the configuration was refused for is left out, however the message is worded', async () => {
    const nothing = { log: async () => undefined, ip: async () => undefined, system: async () => 'test' };
    const refused = new Failure('config.bad-value', 'operator', 'remote.proxy cannot be hunter2', {
      publicMessage: 'remote.proxy: expected a URL',
    });
    const report = await writeReport(undefined, refused, nothing, CHECKS);
    expect(report).toContain('config.bad-value: remote.proxy: expected a URL\n');
    expect(report).not.toContain('hunter2');
    const plain = new Failure('os.no-file', 'operator', 'there is no agent.toml');
    expect(await writeReport(undefined, plain, nothing, CHECKS)).toContain(
      'os.no-file: there is no agent.toml\n',
    );
  });

  test('what cannot be read is named, and the rest is there', async () => {
    const nothing = { log: async () => undefined, ip: async () => undefined, system: async () => 'test' };
    const report = await writeReport(
      fakeProbes({
        status: async () => undefined,
        inspection: async () => Promise.reject(new Error('a mistake')),
      }),
      undefined,
      nothing,
      CHECKS,
    ).catch((error: Error) => error.message);
    // A mistake in the program is not hidden in a report.
    expect(report).toBe('a mistake');
    const whole = await writeReport(
      fakeProbes({ status: async () => undefined }),
      undefined,
      nothing,
      CHECKS,
    );
    for (const part of [
      'no agent answers',
      'no journal here',
      'ip address\nnot available',
      '"manufacturer": "IBM"',
      '"index": 21037056',
    ]) {
      expect(whole).toContain(part);
    }
    expect(whole).not.toContain('abab');
  });
});
