import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startApi } from '../../../../fabric/api/server.ts';
import { followTls, readTls } from '../../../../fabric/commands/common/console-tls.ts';
import { newTlsKey } from '../../../../fabric/pki/keys.ts';
import { rootCertificate, routerCertificate } from '../../../../fabric/pki/x509.ts';

let folder: string;
let settings: Parameters<typeof readTls>[0];
const log: string[] = [];
const ends: (() => unknown)[] = [];

function made(): { certificate: string; key: string; fingerprint: string } {
  const [root, own] = [newTlsKey(), newTlsKey()];
  const signer = { name: 'ENF TLS root', key: root.key };
  rootCertificate(signer);
  const certificate = routerCertificate({ name: 'console', key: own.key }, signer);
  return { certificate, key: own.file, fingerprint: new X509Certificate(certificate).fingerprint256 };
}

const write = ({ certificate, key }: { certificate: string; key: string }): void => {
  writeFileSync(settings.certificate, certificate);
  writeFileSync(settings.key, key);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-console-'));
  settings = { certificate: join(folder, 'a.pem'), key: join(folder, 'a.key') } as typeof settings;
  log.length = 0;
});
afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
  rmSync(folder, { recursive: true });
});

/** The fingerprint of what the console shows. */
const shown = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('the console takes a new certificate from its files while it serves; one that is of no use changes nothing', async () => {
  const [first, second] = [made(), made()];
  write(first);
  const tls = (await readTls(settings))!;
  const api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    call: async () => undefined,
    news: () => new Promise(() => {}),
    version: 'test',
    log: () => {},
  } as Parameters<typeof startApi>[0]);
  ends.push(() => api.close());
  ends.push(followTls(settings, tls, api.replaceTls, (level, line) => log.push(`${level} ${line}`), 10));
  expect(await shown(api.port)).toBe(first.fingerprint);

  // The certificate is renewed, its key still to come.
  writeFileSync(settings.certificate, second.certificate);
  await until(() => log.length > 0);
  expect(log).toEqual([expect.stringContaining('warning the console keeps its certificate')]);
  rmSync(settings.key);
  await until(() => log.length > 1);
  expect(await shown(api.port)).toBe(first.fingerprint);

  writeFileSync(settings.key, second.key);
  await until(async () => (await shown(api.port)) === second.fingerprint);
  expect(log.at(-1)).toContain('notice the console shows the new certificate');
});
