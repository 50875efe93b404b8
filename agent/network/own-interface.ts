import type { Interface } from '../../os/linux/network-config.ts';
import { Failure } from '../../protocol/failure.ts';
import { missing } from './desired.ts';
import type { Desired, Observed, Policy } from './policy.ts';

/** The interface of the tunnel, known by its index: others may rename it, and give its name to another. */

/** Where it has another name than it should and that one is free: the change that gives it back. */
export function renaming(
  { device }: Policy,
  interfaces: readonly Interface[],
  index: number,
): { readonly kind: 'rename'; readonly from: string; readonly to: string } | undefined {
  const now = interfaces.find((each) => each.index === index);
  if (now === undefined || interfaces.some(({ name }) => name === device)) return undefined;
  return { kind: 'rename', from: now.name, to: device };
}

/** Without an interface of others that has taken the name: nothing of it may be changed. */
export const withoutNamesake = (
  { device }: Policy,
  observed: Observed,
  index: number | undefined,
): Observed => ({
  ...observed,
  interfaces: observed.interfaces.filter(
    (each) => each.name !== device || index === undefined || each.index === index,
  ),
});

/** Why it carries no packets; undefined if it does. `desired` and `observed` are of one moment. */
export function flaw(
  { device }: Policy,
  desired: Desired,
  { interfaces, routes }: Observed,
  index: number,
): string | undefined {
  const now = interfaces.find((each) => each.index === index);
  if (now === undefined) return 'was removed, or moved to another network namespace';
  if (now.name !== device) return `was renamed to ${now.name}, and cannot have its name back`;
  if (!now.up) return 'is down';
  const address = desired.link?.address;
  if (address !== undefined && !now.addresses.includes(address)) return `has lost the address ${address}`;
  if (address !== undefined && now.unusable?.includes(address)) return `may not use its address ${address}`;
  const ours = desired.routes.filter((route) => route.device === device);
  const lacking = missing(ours, routes)[0]?.destination;
  return lacking === undefined ? undefined : `lacks the route to ${lacking}`;
}

export const interfaceChanged = ({ device }: Policy, what: string): Failure =>
  new Failure('os.interface-changed', 'retry', `the interface ${device} ${what}`, {
    action: 'Leave the interface to the agent, which makes it anew; find out which program changes it.',
  });
