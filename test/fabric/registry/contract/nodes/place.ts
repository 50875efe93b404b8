import type { NewNode } from '../../../../../fabric/registry/nodes.ts';
import { anyGroup, NETWORK, random, type WholeRegistry } from '../../../place.ts';
import { applicant, type OpenEmpty } from '../place.ts';

export const node = (name: string, fields: Partial<NewNode> = {}): NewNode => ({
  ...{ name, version: '1.0', installation: random(32) },
  ...fields,
});

/** Two nodes on one registry, a device, and a clock. */
export async function twoNodes(openEmpty: OpenEmpty) {
  const clock = { now: 100_000 };
  const open = await openEmpty();
  const options = { now: () => clock.now };
  const [a, b] = [await open(options), await open(options)];
  await a.addNetwork('owner', NETWORK, '');
  const group = await a.addGroup('owner', anyGroup());
  const address = await a.admit(applicant(group));
  await a.join(node('a', { address: '2001:db8::a' }));
  await b.join(node('b'));
  return { a, b, open: () => open(options), clock, group, address };
}

/** Waits until everything is written that was to be written later. */
export const settle = (registry: WholeRegistry): Promise<unknown> =>
  registry.refused({ source: 'x', proven: false, result: 'test' });

/** Attaches the device; the generation of its tunnel. */
export const attach = async (at: WholeRegistry, address: Uint8Array): Promise<number> =>
  (await at.attach(address, '192.0.2.1')).generation;
