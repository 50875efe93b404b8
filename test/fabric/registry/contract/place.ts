import type { Applicant, Group } from '../../../../fabric/registry/records.ts';
import type { RegistryOptions } from '../../../../fabric/registry/registry.ts';
import { anyGroup, NETWORK, random, type WholeRegistry } from '../../place.ts';

/**
 * Makes an empty registry, whose audit trail has the one entry of its foundation, and returns how to open it: each
 * call is another program on the same data. What was opened is closed after the test.
 */
export type OpenEmpty = () => Promise<(options?: RegistryOptions) => Promise<WholeRegistry>>;

export const ZERO = new Uint8Array(16);

/** A verified chip of the group. */
export function applicant(group: { gid: Uint8Array }, fields: Partial<Applicant> = {}): Applicant {
  return {
    gid: group.gid,
    pseudonym: random(65),
    longtermKey: random(65),
    requested: ZERO,
    source: '192.0.2.7',
    suite: 1,
    ...fields,
  };
}

/** An empty registry with a network and a group. */
export async function withGroup(
  openEmpty: OpenEmpty,
  options: RegistryOptions = {},
): Promise<{ registry: WholeRegistry; group: Group }> {
  const registry = await (await openEmpty())(options);
  await registry.addNetwork('owner', NETWORK, 'plant');
  return { registry, group: await registry.addGroup('owner', anyGroup()) };
}
