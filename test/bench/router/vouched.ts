import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCertificate } from '../../../crypto/certificates.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { pathOf } from '../../../fabric/pki/files.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { caFolder } from '../../fabric/openssl-ca.ts';
import type { BenchFabric } from '../admit/fabric.ts';
import type { Enrolled } from './devices.ts';

const NETWORK = parsePrefix('fd00:8f80:8000:4::/64');

/** Another network with so many machines whose certificates are of a CA: each shows its own and that of an intermediate, whose issuer is the CA. */
export async function vouchedDevices(fabric: BenchFabric, count: number): Promise<Enrolled[]> {
  const folder = caFolder();
  try {
    const root = folder.ca({ subject: '/CN=bench root' });
    const issuer = folder.ca({ subject: '/CN=bench issuer', by: root });
    await addCa(fabric, new Uint8Array(new X509Certificate(root.pem).raw));
    return Array.from({ length: count }, (_, i) => {
      const name = `fd00:8f80:8000:4:1111:2222:3333:${(i + 0x4444).toString(16)}`;
      const { pem, key } = folder.leaf({ subject: `/CN=machine ${i}`, by: issuer, addresses: [name] });
      const file = join(fabric.folder, `vouched-${i}.pem`);
      writeFileSync(file, pem + issuer.pem + key, { mode: 0o600 });
      return { address: parseIpv6(name), file };
    });
  } finally {
    folder.remove();
  }
}

async function addCa(fabric: BenchFabric, certificate: Uint8Array): Promise<void> {
  const registry = await openRegistry(pathOf(fabric.data, 'registry'));
  const own = registry.of({ owner: 1, everything: true });
  const { subject, notAfter } = readCertificate(certificate)!;
  try {
    await own.addNetwork('bench', NETWORK, 'vouched');
    await own.addAnchor('bench', {
      ...{ name: 'bench', certificate, others: new Uint8Array(0), subject, notAfter: 1_000 * notAfter },
      fingerprint: new Uint8Array(createHash('sha256').update(certificate).digest()),
      ...{ admits: 'anybody', networks: [NETWORK] },
    });
  } finally {
    await registry.close();
  }
}

/** CPU milliseconds of a process's main thread so far. */
export const mainThreadMs = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
