import { type Interface, type Kernel, MAIN_TABLE } from '../../os/linux/network-config.ts';
import { formatPrefix, type Prefix, parsePrefix, prefixOf } from '../../protocol/ipv6.ts';
import type { Observed, Policy } from './policy.ts';

/** Reads from the kernel what the policy needs to know. @throws Failure as `Kernel` */
export async function observe(
  kernel: Kernel,
  { mode, device, table, bypass }: Policy,
  prefixes: readonly Prefix[] = [],
): Promise<Observed> {
  const locked = mode === 'lockdown';
  const interfaces = await kernel.interfaces();
  const present = interfaces.some(({ name }) => name === device);
  const routes = locked
    ? [kernel.routes(4, table), kernel.routes(6, table)]
    : bypass
      ? [kernel.routes(6, table)]
      : present
        ? [kernel.routes(6, MAIN_TABLE, device)]
        : [];
  const destinations = locked || bypass ? [] : prefixes.map(formatPrefix);
  const [rules, found, forwards, others] = await Promise.all([
    locked ? Promise.all([kernel.rules(4), kernel.rules(6)]) : bypass ? Promise.all([kernel.rules(6)]) : [],
    Promise.all(routes),
    kernel.forwards(),
    Promise.all(destinations.map(async (each) => (await kernel.routesTo?.(6, MAIN_TABLE, each)) ?? [])),
  ]);
  return {
    interfaces,
    rules: rules.flat(),
    routes: found.flat(),
    forwards,
    others: others.flat().filter((each) => each.device !== device),
  };
}

/** The IPv6 networks of the other interfaces. */
export const networksOf = (interfaces: readonly Interface[], device: string): readonly Prefix[] =>
  interfaces
    .filter(({ name, up }) => name !== device && up)
    .flatMap(({ addresses }) => addresses)
    .filter((address) => address.includes(':') && !address.startsWith('fe80:'))
    .map((address) => {
      const [bare, length] = address.split('/');
      return prefixOf(parsePrefix(bare!).address, Number(length));
    });
