import { watchKernel } from '../../os/linux/netlink.ts';
import { type Kernel, kernel } from '../../os/linux/network-config.ts';
import { nftTable } from '../../os/linux/nft-table.ts';
import { repairSchedule } from '../../os/linux/repair-schedule.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { hostTable, tableName } from './nftables.ts';
import { formatServices, type HostServices } from './services.ts';

/** Keeps this host's services closed to devices, except for what is offered. */
export interface Firewall {
  /** True if the kernel has the table as it should be. @throws Failure as `Kernel` */
  isInForce(): Promise<boolean>;
  /** Removes the table. */
  close(): Promise<void>;
}

/** The kernel; a test brings its own. */
export interface Dependencies {
  readonly kernel: Kernel;
  readonly watch: typeof watchKernel;
}

/** If another program undoes our repairs again and again, a line is logged so often. */
const LINE_EVERY_MS = 60_000;

/**
 * Applies the table of the TUN device, and restores it within two seconds when another program has changed it. If it cannot be applied
 * and all services are offered, nothing but a warning comes of it, unless there are other nodes (`several`, as of `hostTable`). @throws Failure `fabric.host-not-closed`
 */
export async function openFirewall(
  tun: string,
  services: HostServices,
  log: Log,
  several = false,
  { kernel: machine, watch }: Dependencies = { kernel, watch: watchKernel },
): Promise<Firewall> {
  const objects = hostTable(tun, services, several);
  const table = nftTable(tableName(tun), machine);
  const restored = repeatedLine(log, 'warning', { each: 1, periodMs: LINE_EVERY_MS });
  let turn = Promise.resolve();
  let closed = false;

  const reconcile = async (): Promise<void> => {
    if (closed) return;
    schedule.started();
    if (await table.reconcile(objects))
      restored('', `nftables table inet ${table.name} was changed by another program, and is restored`);
  };
  /** One after the other: what one has read must not be what another is changing. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  };
  const schedule = repairSchedule(
    () => inTurn(reconcile),
    (error, first) => {
      if (first) log('error', notRestored(table.name, services, error));
    },
  );

  let subscription: { close(): void } | undefined;
  const leaveAlone = (): void => {
    subscription?.close();
    subscription = undefined;
    schedule.close();
    restored.close();
  };
  try {
    // The subscription comes before the first look, or a change in between would go unnoticed.
    subscription = watch(true, (change) => {
      if (change.kind === 'lost' || (change.kind === 'filter' && change.table === table.name))
        schedule.request();
    });
    await inTurn(reconcile);
  } catch (error) {
    leaveAlone();
    if (several) throw notGuarded(error);
    if (!services.all) throw notClosed(error);
    log('warning', `nothing keeps other hosts from pretending to be this one: ${describe(error)}`);
  }
  return {
    isInForce: table.isIntact,
    async close() {
      leaveAlone();
      await inTurn(async () => {
        closed = true;
        if (table.isApplied()) await table.remove();
      }).catch((error) => log('warning', `the nftables table is left behind: ${describe(error)}`));
    },
  };
}

function notClosed(cause: unknown): Failure {
  return new Failure(
    'fabric.host-not-closed',
    'operator',
    `this host's services cannot be closed to devices: ${describe(cause)}`,
    {
      action: `${(isFailure(cause) && cause.action) || 'See the log.'} Or serve without a TUN device (--tun none), or open every service to every device (--host-services all).`,
      cause,
    },
  );
}

const notGuarded = (cause: unknown): Failure =>
  new Failure(
    'fabric.host-not-closed',
    'operator',
    `nothing would keep other hosts from pretending to be devices of other nodes: ${describe(cause)}`,
    {
      action: `${(isFailure(cause) && cause.action) || 'See the log.'} Or switch routes.install off.`,
      cause,
    },
  );

const notRestored = (name: string, services: HostServices, error: unknown): string =>
  services.all
    ? `nftables table inet ${name} cannot be restored: ${describe(error)}`
    : `nftables table inet ${name} cannot be restored, DEVICES REACH EVERY SERVICE OF THIS HOST beside ${formatServices(services)}: ${describe(error)}`;

const describe = (error: unknown): string => (isFailure(error) ? error.message : String(error));
