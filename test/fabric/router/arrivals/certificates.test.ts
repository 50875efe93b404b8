import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, u16 } from '../../../../protocol/bytes.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import {
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  type Manner,
  makeDevice,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';

let admission: FakeAdmission;
let device: Device;
let router: Router;
let folder: string;
const lines: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'enf-certificates-'));
  admission = fakeAdmission();
  device = await makeDevice('fd00:1::a');
  // Each test is refused a few times, from one address.
  router = await testRouter(admission, { lines, limits: { refusalBurst: 1_000, handshakeMs: 3_600_000 } });
});

beforeEach(() => admission.set(device, 'active'));

afterAll(async () => {
  await router.close();
  rmSync(folder, { recursive: true });
});

const openssl = (...argv: readonly string[]): string =>
  execFileSync('openssl', argv, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

/** The device, with a certificate for another kind of key. */
function otherwise(...key: readonly string[]): Device {
  openssl(
    'req',
    '-x509',
    '-newkey',
    ...key,
    '-nodes',
    '-keyout',
    'k',
    '-out',
    'c',
    '-subj',
    `/CN=${device.name}`,
  );
  return {
    ...device,
    certificate: readFileSync(join(folder, 'c'), 'utf8'),
    key: readFileSync(join(folder, 'k'), 'utf8'),
  };
}

/** How the handshake failed; undefined: it did not, and the device was let in. */
async function refusal(who: Device, manner: Manner): Promise<string | undefined> {
  let code: string | undefined;
  const peer = await connect(router, who, {
    ...manner,
    listen: (tls) => tls.on('error', (error: NodeJS.ErrnoException) => (code ??= error.code)),
  });
  const answer = await Promise.race([answered(peer), peer.ending.then(() => false)]);
  peer.close();
  return answer ? undefined : (code ?? 'closed');
}

async function answered(peer: Peer): Promise<boolean> {
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > 0 || peer.tls.destroyed);
  return peer.received.length > 0;
}

describe('[H-A8] a certificate', () => {
  const ec = (curve: string): string[] => ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`];

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`has a P-256 key, or the handshake ends before its signature is verified (${version})`, async () => {
      expect(await refusal(device, { version })).toBeUndefined();
      expect(await refusal(otherwise(...ec('P-384')), { version })).toBe(
        'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
      );
    });

    it(`is not even sent where the signature would be none of ECDSA (${version})`, async () => {
      lines.length = 0;
      for (const key of [['rsa:2048'], ['ed25519']]) {
        expect(await refusal(otherwise(...key), { version }), key.join()).toBe('closed');
      }
      const refused = /^debug a peer without identity refused from .+: unknown$/;
      // Not one for each: what a source repeats is summed up.
      expect(lines.some((line) => refused.test(line))).toBe(true);
    });

    it(`is one of a few, and not long (${version})`, async () => {
      const chain = (count: number): Device => ({
        ...device,
        certificate: device.certificate + device.certificate.repeat(count - 1),
      });
      expect(await refusal(chain(4), { version })).toBeUndefined();
      expect(await refusal(chain(5), { version })).toBeDefined();
      expect(await refusal(chain(9), { version })).toBeDefined();
    });
  }

  it('is asked for with the signatures that C peers make', () => {
    const said = execFileSync('openssl', ['s_client', '-connect', `127.0.0.1:${router.port}`, '-tls1_3'], {
      encoding: 'utf8',
      input: '',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    expect(said).toMatch(/^Requested Signature Algorithms: ECDSA\+SHA256:ECDSA\+SHA384$/m);
  });
});

describe('[H-A1] a hello', () => {
  const names = (count: number): string[] => [
    'enf/1',
    ...Array.from({ length: count }, (_, i) => `name-${i}`.padEnd(60, '.')),
  ];

  it('may be long, but not longer than any device sends', async () => {
    expect(await refusal(device, { alpn: names(80) })).toBeUndefined();
    expect(await refusal(device, { alpn: names(160) })).toBeDefined();
  });

  it('may come in few pieces, but not byte by byte in records of their own', async () => {
    const body = concat(Uint8Array.of(1, 0, 1, 0x2c), new Uint8Array(300));
    const records = Array.from(body, (byte) => concat(Uint8Array.of(22, 3, 1), u16(1), Uint8Array.of(byte)));
    const socket = connectTcp({ host: '127.0.0.1', port: router.port });
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.resume();
    // Of 304 the router takes 64: the message is not whole, and nothing is wrong with it so far.
    socket.write(concat(...records.slice(0, 100)));
    await closed;
  });

  it('agrees on a key of X25519 or P-256', async () => {
    for (const ecdhCurve of ['X25519', 'P-256', 'P-384:P-256']) {
      expect(await refusal(device, { ecdhCurve }), ecdhCurve).toBeUndefined();
    }
    for (const ecdhCurve of ['P-384', 'P-521', 'X448'])
      expect(await refusal(device, { ecdhCurve }), ecdhCurve).toBeDefined();
    await admitted(router, device, OURS);
  });
});
