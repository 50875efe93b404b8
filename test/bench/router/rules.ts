import { openLabel } from '../../../fabric/labels/label.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { pathOf } from '../../../fabric/pki/files.ts';
import { MOST_PER_SECOND } from '../../../fabric/registry/rates.ts';
import type { OwnedRegistry } from '../../../fabric/registry/registry.ts';
import { MOST_RULES, type NewRule } from '../../../fabric/registry/rules.ts';
import { type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import type { BenchFabric } from '../admit/fabric.ts';
import { type BenchGroup, makeGroup } from '../admit/fleet.ts';
import { type Enrolled, enrol } from './devices.ts';

const RULED = parsePrefix('fd00:8f80:8000:2::/64');
const LIMITED = parsePrefix('fd00:8f80:8000:3::/64');

/**
 * Another network with so many devices, and as many rules as one may have: conditions on groups, devices, protocols and ports that no packet of the load fits, which
 * goes from UDP port 7 to UDP port 7; the last rule of each direction lets it pass.
 */
export async function ruledDevices(fabric: BenchFabric, count: number): Promise<Enrolled[]> {
  const { group, devices } = await devicesIn(fabric, RULED, 'ruled', count);
  await changed(fabric, (own) =>
    Promise.all(
      Array.from({ length: MOST_RULES }, (_, i) => own.addRule('bench', RULED, ruleAt(i, group, devices))),
    ),
  );
  return devices;
}

/** Another one, where each device has limits of packets and bytes in both directions that no load here comes to. */
export async function limitedDevices(fabric: BenchFabric, count: number): Promise<Enrolled[]> {
  const { devices } = await devicesIn(fabric, LIMITED, 'limited', count);
  const rate = { packets: MOST_PER_SECOND, bytes: MOST_PER_SECOND };
  await changed(fabric, (own) =>
    Promise.all(
      devices.map(({ address }) =>
        own.setRateLimit('bench', LIMITED, { kind: 'device', address }, { in: rate, out: rate }),
      ),
    ),
  );
  return devices;
}

/** A network of its own with so many devices. */
async function devicesIn(fabric: BenchFabric, network: Prefix, name: string, count: number) {
  const group = makeGroup(name);
  await changed(fabric, async (own) => {
    await own.addNetwork('bench', network, name);
    const { label, gid } = openLabel(group.label);
    const { gpk, basename } = label;
    await own.addGroup('bench', { gid, gpk, basename, name: label.name, network });
  });
  return { group, devices: await enrol(fabric, group, count, name) };
}

async function changed(fabric: BenchFabric, change: (own: OwnedRegistry) => Promise<unknown>): Promise<void> {
  const registry = await openRegistry(pathOf(fabric.data, 'registry'));
  try {
    await change(registry.of({ owner: 1, everything: true }));
  } finally {
    await registry.close();
  }
}

function ruleAt(i: number, { gid }: BenchGroup, devices: readonly Enrolled[]): NewRule {
  const direction = i % 2 === 0 ? 'in' : 'out';
  const ANY = { kind: 'any' } as const;
  const last = i >= MOST_RULES - 2;
  if (last) return { action: 'allow', direction, devices: ANY, other: ANY, protocol: 'any' };
  const { address } = devices[i % devices.length]!;
  const named = [ANY, { kind: 'device', address }, { kind: 'group', gid, network: RULED }] as const;
  const ports = { first: 1_000 + 4 * i, last: 1_002 + 4 * i };
  return {
    ...{ action: 'deny', direction, devices: named[i % 3]!, other: named[(i + 1) % 3]!, ports },
    protocol: i % 4 < 2 ? 'udp' : 'tcp',
  };
}
