import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import tls from 'node:tls';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey } from '../../../protocol/identity/key-file.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { createLongterm, type LongtermKey, loadLongterm } from '../../../tpm/longterm.ts';
import { handlesIn, TRANSIENT } from '../../tpm/fixture.ts';

const IDENTITY = Uint8Array.from({ length: 16 }, (_, i) => 0x20 + i);

let swtpm: Swtpm;
let tpm: Tpm;
let pem: string;

beforeAll(async () => {
  swtpm = await startSwtpm();
  tpm = await openTpm(swtpm.tcti);
  ({ pem } = await createLongterm(tpm));
});
afterAll(async () => {
  await tpm.close();
  await swtpm.stop();
});

interface Credentials {
  readonly key: string;
  readonly cert: string;
}

function pemOf(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
}

async function loaded(): Promise<LongtermKey> {
  const key = await loadLongterm(tpm, pem);
  onTestFinished(() => key.close());
  return key;
}

async function credentialsOf(key: LongtermKey): Promise<Credentials> {
  const der = await identityCertificate(primitives, IDENTITY, key.publicKey, key.sign, primitives.random(19));
  return { key: key.tlsKey(), cert: pemOf('CERTIFICATE', der) };
}

async function softwareCredentials(): Promise<Credentials> {
  const { secret, publicKey } = generateP256();
  const der = await identityCertificate(
    primitives,
    IDENTITY,
    publicKey,
    ecdsaSigner(secret),
    primitives.random(19),
  );
  return {
    key: pemOf('EC PRIVATE KEY', encodeEcPrivateKey(secret, publicKey)),
    cert: pemOf('CERTIFICATE', der),
  };
}

/** A TLS server that wants a client certificate and sends back its fingerprint; it refuses none. */
async function startServer(credentials: Credentials): Promise<number> {
  const server = tls.createServer(
    { ...credentials, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      socket.on('error', () => {});
      socket.end(socket.getPeerX509Certificate()?.fingerprint256 ?? 'none');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as { port: number }).port;
}

/** Connects and returns the fingerprint that the server saw and the protocol. */
async function greet(
  port: number,
  credentials: Partial<Credentials>,
  version: tls.SecureVersion,
): Promise<{ seen: string; protocol: string | null }> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ...credentials,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
  });
  let seen = '';
  socket.setEncoding('utf8').on('data', (text) => {
    seen += text;
  });
  await once(socket, 'secureConnect');
  const protocol = socket.getProtocol();
  await once(socket, 'close');
  return { seen, protocol };
}

describe('a TLS key in the TPM', () => {
  test.each(['TLSv1.3', 'TLSv1.2'] as const)('authenticates a client in %s', async (version) => {
    const credentials = await credentialsOf(await loaded());
    const port = await startServer(await softwareCredentials());
    const { seen, protocol } = await greet(port, credentials, version);
    expect(protocol).toBe(version);
    expect(seen).toBe(new X509Certificate(credentials.cert).fingerprint256);
  });

  test.each(['TLSv1.3', 'TLSv1.2'] as const)('authenticates a server in %s', async (version) => {
    const key = await loaded();
    const port = await startServer(await credentialsOf(key));
    expect((await greet(port, {}, version)).seen).toBe('none');
  });

  test('signs what OpenSSL verifies, whatever the digest', async () => {
    const key = await loaded();
    const credentials = await credentialsOf(key);
    const { publicKey } = new X509Certificate(credentials.cert);
    const privateKey = createPrivateKey(credentials.key);
    const message = Buffer.from('message');
    for (const digest of ['sha256', 'sha384', 'sha512']) {
      const signature = sign(digest, message, privateKey);
      expect(verify(digest, message, publicKey, signature)).toBe(true);
      expect(verify(digest, Buffer.from('other'), publicKey, signature)).toBe(false);
    }
    expect(() => sign('sha1', message, privateKey)).toThrow();
  });

  test('cannot be exported', async () => {
    const privateKey = createPrivateKey((await loaded()).tlsKey());
    expect(() => privateKey.export({ format: 'pem', type: 'pkcs8' })).toThrow();
  });

  test('does not go with the certificate of another key', async () => {
    const key = (await loaded()).tlsKey();
    const { cert } = await softwareCredentials();
    expect(() => tls.createSecureContext({ key, cert })).toThrow(/mismatch/);
  });

  test('works from a Worker while this thread holds the TPM', async () => {
    const credentials = await credentialsOf(await loaded());
    const port = await startServer(await softwareCredentials());
    const source = `
      const { workerData, parentPort } = require('node:worker_threads');
      const socket = require('node:tls').connect({ ...workerData, host: '127.0.0.1', rejectUnauthorized: false });
      let seen = '';
      socket.on('data', (data) => { seen += data; });
      socket.on('error', (error) => parentPort.postMessage(String(error)));
      socket.on('close', () => parentPort.postMessage(seen));`;
    const worker = new Worker(source, { eval: true, workerData: { ...credentials, port } });
    const [seen] = await once(worker, 'message');
    await worker.terminate();
    expect(seen).toBe(new X509Certificate(credentials.cert).fingerprint256);
  });

  test('ends with close(): contexts that stand cannot sign, the PEM names nothing', async () => {
    const key = await loadLongterm(tpm, pem);
    const credentials = await credentialsOf(key);
    const privateKey = createPrivateKey(credentials.key);
    await key.close();
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
    expect(() => sign('sha256', Buffer.from('message'), privateKey)).toThrow();
    expect(() => createPrivateKey(credentials.key)).toThrow();
    expect(() => key.tlsKey()).toThrow();
  });

  test('a thousand registrations and closings; the PEM of each names only itself', async () => {
    const key = await loaded();
    const first = key.tlsKey();
    expect(key.tlsKey()).toBe(first);
    const object = { number: 0x40000000, generation: tpm.generation };
    for (let i = 0; i < 1000; i++) {
      const registered = tpm.tlsKey(object, key.publicKey);
      expect(registered.pem).not.toBe(first);
      const opened = createPrivateKey(registered.pem);
      expect(opened.asymmetricKeyType).toBe('ec');
      registered.forget();
      expect(() => createPrivateKey(registered.pem)).toThrow();
    }
    expect(createPrivateKey(first).asymmetricKeyType).toBe('ec');
  });

  test('a PEM that was tampered with is no key', async () => {
    const lines = (await loaded()).tlsKey().split('\n');
    const flipped = [lines[0], `AAAA${lines[1]!.slice(4)}`, ...lines.slice(2)].join('\n');
    expect(() => createPrivateKey(flipped)).toThrow();
    const other = 'x'.repeat(5000);
    expect(() => createPrivateKey(lines.join('\n').replace('ENF TPM KEY', other))).toThrow();
    expect(() => createPrivateKey('-----BEGIN ENF TPM KEY-----\n-----END ENF TPM KEY-----\n')).toThrow();
  });

  test('a TPM that fails ends the handshake with an error, and the key comes back', async () => {
    const key = await loaded();
    const credentials = await credentialsOf(key);
    const port = await startServer(await softwareCredentials());
    await swtpm.kill();
    const socket = tls.connect({ port, host: '127.0.0.1', ...credentials, rejectUnauthorized: false });
    const [error] = await once(socket, 'error');
    expect(String(error)).toMatch(/TPM|OPERATION_FAIL|operation fail/i);
    swtpm = await startSwtpm({ state: swtpm.state, port: swtpm.port });
    expect(() => key.tlsKey()).toThrow(/lost/);
    await expect.poll(() => tlsKeyOf(key)).toBeDefined();
    const again = await credentialsOf(key);
    expect((await greet(port, again, 'TLSv1.3')).seen).toBe(new X509Certificate(again.cert).fingerprint256);
  });
});

describe('ordinary cryptography beside the provider', () => {
  test('TLS with software keys on both sides', async () => {
    (await loaded()).tlsKey();
    const client = await softwareCredentials();
    const port = await startServer(await softwareCredentials());
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      const { seen } = await greet(port, client, version);
      expect(seen).toBe(new X509Certificate(client.cert).fingerprint256);
    }
  });

  test('keys of all kinds are read, sign and are refused as before', async () => {
    (await loaded()).tlsKey();
    for (const [type, options] of [
      ['ec', { namedCurve: 'P-256' }],
      ['ec', { namedCurve: 'P-384' }],
      ['rsa', { modulusLength: 2048 }],
      ['ed25519', {}],
    ] as const) {
      const privateKey = generated(type, options);
      const text = privateKey.export({ format: 'pem', type: 'pkcs8' });
      const again = createPrivateKey(text);
      const digest = type === 'ed25519' ? null : 'sha256';
      const signature = sign(digest, Buffer.from('m'), again);
      expect(verify(digest, Buffer.from('m'), createPublicKey(again), signature)).toBe(true);
    }
    expect(() => createPrivateKey('nonsense')).toThrow();
  });
});

/** The overloads of generateKeyPairSync do not take a table's row. */
function generated(type: string, options: object): KeyObject {
  const generate = generateKeyPairSync as unknown as (
    type: string,
    options: object,
  ) => { readonly privateKey: KeyObject };
  return generate(type, options).privateKey;
}

function tlsKeyOf(key: LongtermKey): string | undefined {
  try {
    return key.tlsKey();
  } catch {
    return undefined;
  }
}
