import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateP256 } from '../../../crypto/primitives.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { pathOf } from '../../../fabric/pki/files.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { identityFiles } from '../../fabric/identities.ts';
import { udp } from '../../fabric/packets.ts';
import type { BenchFabric } from '../admit/fabric.ts';
import type { BenchGroup } from '../admit/fleet.ts';

/** A device that the registry knows, and the file with its certificate and key (PEM). */
export interface Enrolled {
  readonly address: Uint8Array;
  readonly file: string;
}

const UDP_HEADERS = 48;

/** Enrols devices as their first boot does, without the boot: what is measured here comes after it. `name` is that of their files. */
export async function enrol(
  fabric: BenchFabric,
  group: Pick<BenchGroup, 'gid'>,
  count: number,
  name = 'device',
): Promise<Enrolled[]> {
  const registry = await openRegistry(pathOf(fabric.data, 'registry'));
  try {
    return await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const keys = generateP256();
        const address = await registry.admit({
          gid: group.gid,
          pseudonym: randomBytes(65),
          longtermKey: keys.publicKey,
          requested: new Uint8Array(16),
          source: '127.0.0.1',
          suite: 1,
        });
        const { certificate, key } = await identityFiles(address, keys);
        const file = join(fabric.folder, `${name}-${i}.pem`);
        writeFileSync(file, certificate + key, { mode: 0o600 });
        return { address, file };
      }),
    );
  } finally {
    await registry.close();
  }
}

/** The list that devices.c reads: each device with a frame that is answered. */
export function heartbeats(fabric: BenchFabric, devices: readonly Enrolled[], name = 'heartbeats'): string {
  return list(fabric, name, devices, ({ address }) => heartbeat(address));
}

/** The same, each device with a packet of `size` bytes to its neighbour. */
export function neighbours(
  fabric: BenchFabric,
  devices: readonly Enrolled[],
  size: number,
  name = 'neighbours',
): string {
  return list(fabric, name, devices, ({ address }, i) =>
    udp(address, devices[i ^ 1]!.address, 1, size - UDP_HEADERS),
  );
}

/** A list of devices, each with a packet. */
export function list(
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
