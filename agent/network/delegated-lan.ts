import { openRouterSocket } from '../../os/linux/icmp6.ts';
import { type KernelChange, watchKernel } from '../../os/linux/netlink.ts';
import { type Kernel, kernel } from '../../os/linux/network-config.ts';
import { nftTable } from '../../os/linux/nft-table.ts';
import { repairLog, repairSchedule, turns } from '../../os/linux/repair-schedule.ts';
import { openDhcpSocket } from '../../os/net/dhcp-socket.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { type Advertiser, type AdvertiserDependencies, LIFETIMES, openAdvertiser } from './advertiser.ts';
import {
  type DelegationPolicy,
  delegationFilter,
  delegationRepairs,
  delegationTable,
  type LanObserved,
} from './delegated.ts';
import { describeChange, describeError } from './describe.ts';
import { type DhcpServer, openDhcpServer } from './dhcp-server.ts';

/** The LAN behind a gateway: it has a delegated prefix, and is announced, as long as there is one. */
export interface DelegatedLan {
  /**
   * From now on the LAN has this prefix and no other; `routes` are what the machines there reach by the gateway, and `key` (32 bytes) is what addresses by
   * DHCPv6 follow from, if there is that. Undefined: none is delegated any more. Resolves when that is tried; what fails is tried again, and in `trouble` until then.
   */
  set(prefix: Prefix | undefined, routes: readonly Prefix[], key?: Uint8Array): Promise<void>;
  /** Why it is not announced, or not answered by DHCPv6; undefined: it is, or there is no prefix. */
  trouble(): Failure | undefined;
  /** Removes everything. */
  close(): Promise<void>;
}

/** The kernel that is changed, and what the LAN is told by; a test brings its own. */
export interface DelegatedLanDependencies extends AdvertiserDependencies {
  readonly kernel: Kernel;
  readonly watch: typeof watchKernel;
  readonly openDhcpSocket: typeof openDhcpSocket;
}

interface Wanted {
  readonly prefix: Prefix;
  readonly routes: readonly Prefix[];
  readonly key: Uint8Array | undefined;
}

/** `note` receives each failure. Nothing is touched before `set` gets a prefix. */
export function openDelegatedLan(
  policy: DelegationPolicy,
  log: Log,
  note: (failure: unknown) => void = () => {},
  { kernel: machine, watch, ...dependencies }: DelegatedLanDependencies = {
    ...{ kernel, watch: watchKernel, open: openRouterSocket, openDhcpSocket },
    random: Math.random,
  },
): DelegatedLan {
  const inTurn = turns();
  const logRepairs = repairLog(log);
  const table = nftTable(delegationTable(policy.device), machine);
  let wanted: Wanted | undefined;
  /** Prefixes that the LAN has had, as long as addresses of them may be there. */
  let former: readonly Prefix[] = [];
  let subscription: { close(): void } | undefined;
  let announced:
    | {
        readonly advertiser: Advertiser;
        readonly index: number;
        readonly text: string;
        server: DhcpServer | undefined;
      }
    | undefined;
  let trouble: Failure | undefined;
  let closed = false;

  const observe = async (): Promise<LanObserved> => {
    const [interfaces, rules, routes] = await Promise.all([
      machine.interfaces(),
      machine.rules(6),
      machine.routes(6, policy.table),
    ]);
    return { interfaces, rules, routes };
  };

  const reconcile = async (): Promise<readonly string[]> => {
    if (closed || (wanted === undefined && former.length === 0)) return [];
    // Before the first look, or a change in between would go unnoticed.
    subscription ??= watch(true, (change) => {
      if (concerns(change)) schedule.request();
    });
    schedule.started();
    // Closed before it is reached.
    const last = wanted?.prefix ?? former.at(-1);
    const objects = last === undefined ? [] : delegationFilter(policy, last, wanted === undefined);
    const filtered = await table.reconcile(objects);
    const observed = await observe();
    const changes = delegationRepairs(policy, wanted?.prefix, former, observed);
    for (const change of changes) await machine.change(change);
    await announce(observed);
    return [...changes.map(describeChange), ...(filtered ? [`nftables table ${table.name}`] : [])];
  };

  const silence = (withdrawn: boolean): void => {
    announced?.server?.close();
    announced?.advertiser.close(withdrawn);
    announced = undefined;
  };

  /** Announces what there is, and answers by DHCPv6, if it can be reached. @throws Failure `delegation.…`, `os.no-…-socket` why not */
  const announce = async ({ interfaces }: LanObserved): Promise<void> => {
    const lan = interfaces.find(({ name }) => name === policy.lan);
    const text = wanted === undefined ? '' : [wanted.prefix, ...wanted.routes].map(formatPrefix).join(' ');
    const forwards = (await machine.forwardsIpv6?.()) ?? true;
    const may = wanted !== undefined && lan?.up === true && forwards;
    if (announced !== undefined && (!may || announced.index !== lan.index || announced.text !== text))
      silence(may || wanted === undefined);
    if (wanted === undefined) return;
    if (lan === undefined || !lan.up) throw noInterface(policy.lan, lan !== undefined);
    if (!forwards) throw noForwarding();
    const { prefix, routes, key } = wanted;
    const { mtu, dhcp, dns } = policy;
    const addresses = dhcp === 'stateful';
    if (announced === undefined) {
      const flags = { managed: addresses, other: dhcp !== 'off' };
      const advertiser = openAdvertiser(policy.lan, { prefix, routes, mtu, dns, ...flags }, dependencies);
      announced = { advertiser, index: lan.index, text, server: undefined };
      log('notice', `${formatPrefix(prefix)} is announced on ${policy.lan}`);
    }
    if (dhcp === 'off' || key === undefined || announced.server !== undefined) return;
    const service = { prefix, addresses, dns, key, lifetimes: LIFETIMES };
    announced.server = await openDhcpServer(policy.lan, service, dependencies.openDhcpSocket);
  };

  /** What fails is in `trouble` until it no longer does. */
  const attempt = async (): Promise<void> => {
    try {
      logRepairs(await reconcile());
      trouble = undefined;
    } catch (error) {
      note(error);
      trouble = isFailure(error) ? error : undefined;
      throw error;
    }
  };
  const schedule = repairSchedule(
    () => inTurn(attempt),
    (error, first) => {
      if (first) log('warning', describeError(error));
    },
  );

  const concerns = (change: KernelChange): boolean => {
    if (change.kind === 'filter') return change.table === table.name;
    return change.kind !== 'route' || change.table === policy.table;
  };

  return {
    async set(prefix, routes, key) {
      if (prefix === undefined && wanted === undefined) return;
      const before = wanted;
      wanted = prefix && { prefix, routes, key };
      if (before !== undefined)
        former = [...former.filter((each) => !equals(each, before.prefix)), before.prefix];
      if (prefix === undefined) log('notice', `no prefix is delegated for ${policy.lan} any more`);
      try {
        await inTurn(attempt);
      } catch (error) {
        log('warning', describeError(error));
        schedule.request();
      }
    },
    trouble: () => trouble,
    async close() {
      schedule.close();
      subscription?.close();
      if (wanted === undefined && former.length === 0) return;
      await inTurn(async () => {
        closed = true;
        silence(wanted === undefined);
        const all = wanted === undefined ? former : [...former, wanted.prefix];
        for (const change of delegationRepairs(policy, undefined, all, await observe()))
          await machine.change(change).catch((error: unknown) => log('warning', describeError(error)));
        if (table.isApplied()) await table.remove();
      });
    },
  };
}

const equals = (one: Prefix, other: Prefix): boolean => formatPrefix(one) === formatPrefix(other);

const noInterface = (name: string, there: boolean): Failure =>
  new Failure(
    'delegation.no-interface',
    'operator',
    there ? `the LAN interface ${name} is down` : `there is no LAN interface ${name}`,
    { action: 'Bring it up, or name another one as delegation.interface; "ip link" lists them.' },
  );

const noForwarding = (): Failure =>
  new Failure(
    'delegation.no-forwarding',
    'operator',
    'this host forwards no IPv6, so nothing is announced on the LAN',
    {
      action:
        'Set net.ipv6.conf.all.forwarding=1 in /etc/sysctl.d; an uplink that gets its address by router advertisements needs accept_ra=2 besides (docs/prefix.md).',
    },
  );
