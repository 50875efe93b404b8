import { createPrivateKey, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathOf } from '../../../fabric/authority.ts';
import { openRegistry } from '../../../fabric/registry/registry.ts';
import { ecdsaSigner, generateP256, primitives } from '../../../os/primitives.ts';
import { concat, fromHex, toHex, u16 } from '../../../protocol/bytes.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey } from '../../../protocol/identity/keyfile.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import type { BenchFabric } from '../admit/fabric.ts';
import type { BenchGroup } from '../admit/fleet.ts';

/** A device that the registry knows, and the file with its certificate and key (PEM). */
export interface Enrolled {
  readonly address: Uint8Array;
  readonly file: string;
}

/** Enrols devices as their first boot does, without the boot: what is measured here comes after it. */
export async function enrol(fabric: BenchFabric, group: BenchGroup, count: number): Promise<Enrolled[]> {
  const registry = openRegistry(pathOf(fabric.data, 'registry'), { actor: 'bench' });
  try {
    return await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const { secret, publicKey } = generateP256();
        const address = await registry.admit({
          gid: group.gid,
          pseudonym: randomBytes(65),
          longtermKey: publicKey,
          requested: new Uint8Array(16),
          source: '127.0.0.1',
          suite: 1,
        });
        const sign = ecdsaSigner(secret);
        const certificate = await identityCertificate(primitives, address, publicKey, sign, randomBytes(19));
        const file = join(fabric.folder, `device-${i}.pem`);
        writeFileSync(file, pem('CERTIFICATE', certificate) + keyPem(secret, publicKey), { mode: 0o600 });
        return { address, file };
      }),
    );
  } finally {
    registry.close();
  }
}

/** The list that swarm.c reads: each device with a frame that is answered. */
export function heartbeats(fabric: BenchFabric, devices: readonly Enrolled[]): string {
  return list(fabric, 'heartbeats', devices, ({ address }) => heartbeat(address));
}

/** The same, each device with a packet of `size` bytes to its neighbour. */
export function neighbours(fabric: BenchFabric, devices: readonly Enrolled[], size: number): string {
  return list(fabric, 'neighbours', devices, ({ address }, i) =>
    udpPacket(address, devices[i ^ 1]!.address, size),
  );
}

function list(
  fabric: BenchFabric,
  name: string,
  devices: readonly Enrolled[],
  packet: (device: Enrolled, index: number) => Uint8Array,
): string {
  const file = join(fabric.folder, name);
  const lines = devices.map((device, i) => `${device.file} ${toHex(encodeFrame(packet(device, i)))}\n`);
  writeFileSync(file, lines.join(''));
  return file;
}

/** Nobody on the way looks at its checksum. */
function udpPacket(source: Uint8Array, destination: Uint8Array, size: number): Uint8Array {
  const payload = new Uint8Array(size - 40).fill(1);
  return concat(
    fromHex('60000000'),
    u16(payload.length),
    Uint8Array.of(17, 64),
    source,
    destination,
    payload,
  );
}

function pem(label: string, der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
}

function keyPem(secret: Uint8Array, publicKey: Uint8Array): string {
  const key = Buffer.from(encodeEcPrivateKey(secret, publicKey));
  return String(
    createPrivateKey({ key, format: 'der', type: 'sec1' }).export({ format: 'pem', type: 'pkcs8' }),
  );
}
