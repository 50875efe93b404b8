import { configureInterface, routeThrough, unconfigure } from '../../os/linux/iproute.ts';
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

/**
 * Gives the host its address `<prefix>::1` and a route in every network, also in those added later; takes them from one that is removed. What other
 * programs take away is restored within two seconds.
 */
export function installHostRoutes(tun: string, registry: Registry, log: Log): HostRoutes {
  const inTurn = turns();
  const restored = repeatedLine(log, 'warning', { each: 1, periodMs: LINE_EVERY_MS });
  /** What this host should have, by the text of the prefix. */
  const wanted = new Map<string, Prefix>();
  let index: number | undefined;

  const install = async (prefixes: readonly Prefix[]): Promise<void> => {
    await requireOurs(prefixes, tun);
    await configureInterface(tun, TUN_MTU, prefixes.map(ownAddress));
    for (const prefix of prefixes) await routeThrough(formatPrefix(prefix), tun);
  };
  const installAll = async (): Promise<void> => {
    for await (const { prefix } of eachRow((page) => registry.of(EVERYTHING).networks(page)))
      wanted.set(formatPrefix(prefix), prefix);
    await install([...wanted.values()]);
  };
  const reconcile = async (): Promise<void> => {
    schedule.started();
    const found = await missing(tun, [...wanted.values()], kernel);
    index = found.index;
    if (!found.link && found.prefixes.length === 0) return;
    await install(found.prefixes);
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
    if (registry.hasNetwork(prefix.address)) {
      wanted.set(name, prefix);
      await install([prefix]);
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
  /** Networks without address or route. */
  readonly prefixes: readonly Prefix[];
  /** In words: "the address fd00::1/128 of enf-fabric0". */
  readonly text: string;
}

/** Compares an interface with what it should have. @throws Failure `fabric.tun-gone`, and as `Kernel` */
export async function missing(
  tun: string,
  networks: readonly Prefix[],
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
  const prefixes: Prefix[] = [];
  const words: string[] = link ? [`the state of ${tun}`] : [];
  for (const prefix of networks) {
    const lacksAddress = !found.addresses.includes(ownAddress(prefix));
    const lacksRoute = !routes.has(formatPrefix(prefix));
    if (lacksAddress || lacksRoute) prefixes.push(prefix);
    if (lacksAddress) words.push(`the address ${ownAddress(prefix)} of ${tun}`);
    else if (lacksRoute) words.push(`the route to ${formatPrefix(prefix)}`);
  }
  const more = words.length > 1 ? ` (and ${words.length - 1} more)` : '';
  return { index: found.index, link, prefixes, text: `${words[0] ?? 'nothing'}${more}` };
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
