import { configureInterface, routeThrough, unconfigure, unroute } from '../../os/linux/iproute.ts';
import { type KernelChange, watchKernel } from '../../os/linux/netlink.ts';
import { type Kernel, kernel, MAIN_TABLE } from '../../os/linux/network-config.ts';
import { repairSchedule, turns } from '../../os/linux/repair-schedule.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { EVERYTHING } from '../access/scope.ts';
import { hostAddress } from '../registry/address.ts';
import { eachRow } from '../registry/pages.ts';
import type { Registry } from '../registry/registry.ts';

/** The MTU of the devices' TUN (enftun.md §4). */
const TUN_MTU = 1_280;
/** If another program undoes our repairs again and again, a line is logged so often. */
const LINE_EVERY_MS = 60_000;

/** This host's addresses and routes in the networks. */
export interface HostRoutes {
  /** Resolves when addresses and routes of all networks known so far are in place. @throws Failure of `ip`, `fabric.network-elsewhere` at the start */
  settled(): Promise<void>;
  /** Nothing is repaired any more. */
  close(): void;
}

/** What the host should have for a network: its address and the route, and the route to the prefixes of devices. */
export interface Wanted {
  readonly network: Prefix;
  readonly pool: Prefix | undefined;
}

/**
 * Gives the host its address `<prefix>::1` and a route in every network, also in those added later, and a route to the prefixes of its devices; takes them
 * from one that is removed. What other programs take away is restored within two seconds.
 */
export function installHostRoutes(tun: string, registry: Registry, log: Log): HostRoutes {
  const inTurn = turns();
  const restored = repeatedLine(log, 'warning', { each: 1, periodMs: LINE_EVERY_MS });
  /** What this host should have, by the text of the prefix. */
  const wanted = new Map<string, Wanted>();
  let index: number | undefined;

  const install = async (networks: readonly Wanted[]): Promise<void> => {
    const prefixes = networks.map(({ network }) => network);
    await requireOurs(prefixes, tun);
    await configureInterface(tun, TUN_MTU, prefixes.map(ownAddress));
    for (const prefix of networks.flatMap(routesOf)) await routeThrough(formatPrefix(prefix), tun);
  };
  const installAll = async (): Promise<void> => {
    for await (const { prefix, pool } of eachRow((page) => registry.of(EVERYTHING).networks(page)))
      wanted.set(formatPrefix(prefix), { network: prefix, pool });
    await install([...wanted.values()]);
  };
  const reconcile = async (): Promise<void> => {
    schedule.started();
    const found = await missing(tun, [...wanted.values()], kernel);
    index = found.index;
    if (!found.link && found.networks.length === 0) return;
    await install(found.networks);
    restored('', `${found.text} was changed by another program, and is restored`);
  };
  const schedule = repairSchedule(
    () => inTurn(reconcile),
    (error, first) => {
      if (first) log('error', `${tun} cannot be restored: ${(error as Error).message}`);
    },
  );
  const follow = async ({ prefix }: { readonly prefix: Prefix }): Promise<void> => {
    const name = formatPrefix(prefix);
    const former = wanted.get(name)?.pool;
    const pool = await registry.of(EVERYTHING).pool(prefix);
    if (former !== undefined && (pool === undefined || formatPrefix(pool) !== formatPrefix(former)))
      await unroute(tun, formatPrefix(former));
    if (registry.hasNetwork(prefix.address)) {
      const now = { network: prefix, pool };
      wanted.set(name, now);
      await install([now]);
      log('info', `network ${name} is reachable through ${tun}`);
    } else {
      wanted.delete(name);
      await unconfigure(tun, ownAddress(prefix), name);
      log('info', `network ${name} is gone from ${tun}`);
    }
  };

  // Before the first look, or a change in between would go unnoticed.
  const subscription = watchKernel(false, (change) => {
    if (concerns(change, index)) schedule.request();
  });
  let settled = inTurn(installAll).then(() => inTurn(reconcile));
  registry.subscribe((change) => {
    if (change.kind !== 'network') return;
    const done = inTurn(() => follow(change)).catch((error: Error) =>
      log('error', `network ${formatPrefix(change.prefix)} is not as it was changed: ${error.message}`),
    );
    settled = settled.then(() => done);
  });
  return {
    settled: () => settled,
    close() {
      subscription.close();
      schedule.close();
      restored.close();
    },
  };
}

const routesOf = ({ network, pool }: Wanted): readonly Prefix[] =>
  pool === undefined ? [network] : [network, pool];

const ownAddress = ({ address }: Prefix): string => `${formatIpv6(hostAddress(address))}/128`;

/** Of a change that may have lost its interface, all that is known is that it may be ours. */
function concerns(change: KernelChange, index: number | undefined): boolean {
  switch (change.kind) {
    case 'lost':
      return true;
    case 'link':
    case 'address':
      return index === undefined || change.index === index;
    case 'route':
      return (
        change.table === MAIN_TABLE &&
        (index === undefined || change.index === undefined || change.index === index)
      );
    default:
      return false;
  }
}

/** What the interface lacks. */
export interface Missing {
  readonly index: number;
  /** It is down, or has another MTU. */
  readonly link: boolean;
  /** Those that lack their address or a route. */
  readonly networks: readonly Wanted[];
  /** In words: "the address fd00::1/128 of enf-fabric0". */
  readonly text: string;
}

/** Compares an interface with what it should have. @throws Failure `fabric.tun-gone`, and as `Kernel` */
export async function missing(
  tun: string,
  wanted: readonly Wanted[],
  machine: Pick<Kernel, 'interfaces' | 'routes'>,
): Promise<Missing> {
  const found = (await machine.interfaces()).find(({ name }) => name === tun);
  if (found === undefined) {
    throw new Failure('fabric.tun-gone', 'operator', `the TUN device ${tun} is gone, or has another name`, {
      action: 'Restart the fabric: it makes the device anew.',
    });
  }
  const routes = new Set((await machine.routes(6, MAIN_TABLE, tun)).map(({ destination }) => destination));
  const link = !found.up || found.mtu !== TUN_MTU;
  const networks: Wanted[] = [];
  const words: string[] = link ? [`the state of ${tun}`] : [];
  for (const each of wanted) {
    const lacksAddress = !found.addresses.includes(ownAddress(each.network));
    const lost = routesOf(each)
      .map(formatPrefix)
      .find((route) => !routes.has(route));
    if (lacksAddress || lost !== undefined) networks.push(each);
    if (lacksAddress) words.push(`the address ${ownAddress(each.network)} of ${tun}`);
    else if (lost !== undefined) words.push(`the route to ${lost}`);
  }
  const more = words.length > 1 ? ` (and ${words.length - 1} more)` : '';
  return { index: found.index, link, networks, text: `${words[0] ?? 'nothing'}${more}` };
}

/** The host's address in a network is on another interface: a second fabric serves it. @throws Failure `fabric.network-elsewhere` */
async function requireOurs(prefixes: readonly Prefix[], tun: string): Promise<void> {
  const own = new Set(prefixes.map(ownAddress));
  for (const { name, addresses } of await kernel.interfaces()) {
    const taken = name === tun ? undefined : addresses.find((address) => own.has(address));
    if (taken === undefined) continue;
    throw new Failure(
      'fabric.network-elsewhere',
      'operator',
      `${name} has the address ${taken}, which is this host's in a network of the fabric: another fabric serves that network on this host`,
      { action: `Stop the other fabric, or remove the address from ${name}.` },
    );
  }
}
