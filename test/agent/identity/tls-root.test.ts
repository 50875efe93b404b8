import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { openSoftwareKeys } from '../../../agent/identity/software-keys.ts';
import { routerTrust } from '../../../agent/identity/tls-root.ts';
import { rootCertificate } from '../../../fabric/pki/x509.ts';
import { Failure } from '../../../protocol/failure.ts';
import { temporaryFolder } from '../folders.ts';
import { makeCertificates } from '../router.ts';

const enterprise = makeCertificates().root;
const another = makeCertificates().root;
const fabric = rootCertificate({
  name: 'ENF TLS root',
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
});
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const HOSTS = ['tunnel.example', '192.0.2.1'];

async function trusting(
  root: string,
  credential: string | Failure | undefined,
  name = '',
  hosts: readonly string[] = HOSTS,
) {
  const path = join(temporaryFolder(), 'root');
  writeFileSync(path, root);
  const remote = `hosts = ${JSON.stringify(hosts)}\ntls-name = "${name}"`;
  const file = root === '' ? '' : `\ntls-root = "${path}"`;
  return routerTrust(parseConfig(`[remote]\n${remote}${file}`, 'x'), async () => {
    if (credential instanceof Failure) throw credential;
    return credential === undefined ? undefined : bytes(credential);
  });
}

describe('[H-B6] whether the router’s name is checked', () => {
  test('not with the root of the credential, nor with the same one configured', async () => {
    expect(await trusting('', enterprise)).toEqual({ ca: enterprise, names: [] });
    expect(await trusting(enterprise, enterprise)).toEqual({ ca: enterprise, names: [] });
    expect(await trusting(enterprise, another + enterprise)).toEqual({ ca: enterprise, names: [] });
  });

  test('not with a root that a fabric has made', async () => {
    expect(await trusting(fabric, undefined)).toEqual({ ca: fabric, names: [] });
    expect(await trusting(fabric + enterprise, enterprise)).toEqual({ ca: fabric + enterprise, names: [] });
  });

  test('with any other root, or one beside ours', async () => {
    expect(await trusting(enterprise, undefined)).toEqual({ ca: enterprise, names: HOSTS });
    expect(await trusting(enterprise, another)).toEqual({ ca: enterprise, names: HOSTS });
    expect(await trusting(enterprise, 'garbage')).toEqual({ ca: enterprise, names: HOSTS });
    expect((await trusting(fabric + enterprise, fabric)).names).toEqual(HOSTS);
    const absent = new Failure('tpm.absent', 'retry', 'gone');
    expect((await trusting(enterprise, absent)).names).toEqual(HOSTS);
  });

  test('with the domain of a service, not with what DNS says are its hosts', async () => {
    const { names } = await trusting(enterprise, undefined, '', ['_enf._tcp.example.org', 'b.example']);
    expect(names).toEqual(['example.org', 'b.example']);
  });

  test('as it is configured', async () => {
    expect(await trusting(enterprise, undefined, 'router.example')).toEqual({
      ca: enterprise,
      names: ['router.example'],
    });
    expect((await trusting('', enterprise, 'router.example')).names).toEqual(['router.example']);
    expect((await trusting(enterprise, undefined, '*')).names).toEqual([]);
  });
});

describe('[H-D3] a root that is none', () => {
  test('in the credential’s folder, in the TPM or configured: named; absent: named otherwise', async () => {
    await expect(trusting('', '\0\xff garbage')).rejects.toMatchObject({
      code: 'tls.bad-root',
      message: expect.stringContaining('credential'),
    });
    await expect(trusting('garbage', undefined)).rejects.toMatchObject({ code: 'tls.bad-root' });
    await expect(trusting('', undefined)).rejects.toMatchObject({ code: 'agent.no-tls-root' });
    const folder = temporaryFolder();
    expect(await openSoftwareKeys(folder).tlsRoot()).toBeUndefined();
    writeFileSync(join(folder, 'tls_root.pem'), Uint8Array.of(0x30, 0, 0xff));
    expect(await openSoftwareKeys(folder).tlsRoot()).toEqual(Uint8Array.of(0x30, 0, 0xff));
  });
});
