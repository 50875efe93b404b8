import { openLabel } from '../../../fabric/labels/label.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { pathOf } from '../../../fabric/pki/files.ts';
import { MOST_RULES, type NewRule } from '../../../fabric/registry/rules.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import type { BenchFabric } from '../admit/fabric.ts';
import { type BenchGroup, makeGroup } from '../admit/fleet.ts';
import { type Enrolled, enrol } from './devices.ts';

const NETWORK = parsePrefix('fd00:8f80:8000:2::/64');

/**
 * Another network with so many devices, and as many rules as one may have: conditions on groups, devices, protocols and ports that no packet of the load fits, which
 * goes from UDP port 7 to UDP port 7; the last rule of each direction lets it pass.
 */
export async function ruledDevices(fabric: BenchFabric, count: number): Promise<Enrolled[]> {
  const group = makeGroup('ruled');
  const registry = await openRegistry(pathOf(fabric.data, 'registry'));
  const own = registry.of({ owner: 1, everything: true });
  try {
    await own.addNetwork('bench', NETWORK, 'ruled');
    const { label, gid } = openLabel(group.label);
    const { gpk, basename, name } = label;
    await own.addGroup('bench', { gid, gpk, basename, name, network: NETWORK });
  } finally {
    await registry.close();
  }
  const devices = await enrol(fabric, group, count, 'ruled');
  await addRules(fabric, group, devices);
  return devices;
}

async function addRules(fabric: BenchFabric, group: BenchGroup, devices: readonly Enrolled[]): Promise<void> {
  const registry = await openRegistry(pathOf(fabric.data, 'registry'));
  const own = registry.of({ owner: 1, everything: true });
  try {
    await Promise.all(
      Array.from({ length: MOST_RULES }, (_, i) => own.addRule('bench', NETWORK, ruleAt(i, group, devices))),
    );
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
  const named = [ANY, { kind: 'device', address }, { kind: 'group', gid, network: NETWORK }] as const;
  const ports = { first: 1_000 + 4 * i, last: 1_002 + 4 * i };
  return {
    ...{ action: 'deny', direction, devices: named[i % 3]!, other: named[(i + 1) % 3]!, ports },
    protocol: i % 4 < 2 ? 'udp' : 'tcp',
  };
}
