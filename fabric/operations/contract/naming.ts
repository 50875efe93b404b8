import { parseIpv6 } from '../../../protocol/ipv6.ts';
import type { OwnedReader } from '../../registry/registry.ts';
import type { RuleDevices, RuleOther } from '../../registry/rules.ts';
import { badInput, text } from './input.ts';

/** An address or a name. */
export const DEVICE = text(64);

/** The device at this address, or of this name. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const addressOf = async (registry: OwnedReader, given: string): Promise<Uint8Array> =>
  given.includes(':') ? parseIpv6(given) : registry.deviceNamed(given.toLowerCase());

/** `group:` and an id, or `device:` and a name. */
export const END = text(150);

/** What stands before the first colon says what the rest names. @throws Failure `fabric.bad-input`, and those of what it names */
export async function endOf(registry: OwnedReader, field: string, given: string): Promise<RuleOther> {
  const [kind, ...rest] = given.split(':');
  const name = rest.join(':');
  if (rest.length === 0 && (kind === 'any' || kind === 'host' || kind === 'outside')) return { kind };
  if (name !== '' && kind === 'network') return { kind, prefix: await registry.network(name) };
  if (name !== '' && kind === 'device') {
    const { address } = await registry.device(await addressOf(registry, name));
    return { kind, address };
  }
  if (name !== '' && kind === 'group') {
    const { gid, network } = await registry.group(name);
    return { kind, gid, network };
  }
  throw badInput(field, 'has to be any, network:…, group:…, device:…, host or outside');
}

/** The same of devices of a network. */
export async function devicesOf(registry: OwnedReader, field: string, given: string): Promise<RuleDevices> {
  const end = await endOf(registry, field, given);
  if (end.kind === 'any' || end.kind === 'group' || end.kind === 'device') return end;
  throw badInput(field, 'has to be any, group:… or device:…');
}
