import { type KernelChange, watchKernel } from '../../os/linux/netlink.ts';
import { type Kernel, kernel } from '../../os/linux/network-config.ts';
import { repairLog, repairSchedule, settling, turns } from '../../os/linux/repair-schedule.ts';
import { tunName } from '../../os/linux/tun-name.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import { clean, remove } from './cleanup.ts';
import { describeChange, describeError } from './describe.ts';
import { checkPrefixes, closing, desiredState, repairs, tunnelPrefixes } from './desired.ts';
import { openFilter } from './filter.ts';
import { networksOf, observe } from './observe.ts';
import { flaw, interfaceChanged, renaming, withoutNamesake } from './own-interface.ts';
import type { Desired, Observed, Policy } from './policy.ts';

/** Keeps interface, routes, rules and filter as the policy wants them, whichever program changes them. */
export interface Reconciler {
  /** Lockdown holds when this resolves, with or without a tunnel; later calls only repair what differs. */
  start(): Promise<void>;
  /**
   * The interface is there now, behind the TUN descriptor `fd` if that is given: it gets its MTU and the own address, and the routes
   * lead through it when this resolves. @throws Failure `os.interface-changed` besides others
   */
  attach(own: Uint8Array, fd?: number): Promise<void>;
  /** Removes everything, unless it is to `persist`. Nothing is repaired any more. */
  stop(persist: boolean): Promise<void>;
  /** True if a lockdown is wanted and nothing holds it, not even routes and rules. */
  isOpen?(): boolean;
}

/** Repairs in a row before an interface is given up. */
const ATTEMPTS = 3;

/** The kernel that is reconciled; a test brings its own. */
export interface Dependencies {
  readonly kernel: Kernel;
  readonly watch: typeof watchKernel;
}

/**
 * Nothing is touched before `start` or `attach`. The functions of a reconciler @throws Failure as `Kernel`, and `os.no-netlink`; `note`
 * receives those that no caller does. `broken` is called when others have changed the attached interface so that it carries no packets and
 * cannot be restored; it is detached then.
 */
export function openReconciler(
  policy: Policy,
  log: Log,
  note: (failure: unknown) => void = () => {},
  broken: (failure: Failure) => void = () => {},
  { kernel: machine, watch }: Dependencies = { kernel, watch: watchKernel },
): Reconciler {
  const filter = openFilter(policy, machine, log, note);
  const inTurn = turns();
  const logRepairs = repairLog(log);
  let subscription: { close(): void } | undefined;
  /** Our interface, which keeps its index whatever it is called. */
  let attached: { readonly own: Uint8Array; readonly index: number } | undefined;
  /** Routes and rules have held; what fails later takes nothing away. */
  let closedOnce = false;
  let begun = false;
  let stopped = false;
  /** Lockdown is wanted, and not even routes and rules are in place. */
  let open = false;

  /** Brings the kernel to the desired state; returns what was changed, for the log. */
  const reconcile = async (): Promise<readonly string[]> => {
    if (stopped) return [];
    schedule.started();
    return [...(await rename()), ...(await restore())];
  };

  /** If the kernel refuses, `restore` finds that out: everything else is to be restored all the same. */
  const rename = async (): Promise<readonly string[]> => {
    const interfaces = attached ? await machine.interfaces().catch(() => []) : [];
    const change = attached && renaming(policy, interfaces, attached.index);
    if (change === undefined) return [];
    return machine.change(change).then(
      () => [describeChange(change)],
      (error: unknown) => {
        note(error);
        return [];
      },
    );
  };

  const restore = async (): Promise<readonly string[]> => {
    const prefixes = prefixesNow();
    const observed = await look(prefixes);
    checkPrefixes(prefixes, networksOf(observed.interfaces, policy.device));
    const desired = desiredState(policy, attached?.own, observed);
    const changes = await (policy.mode === 'split' ? split : lock)(desired, observed);
    const left = attached && flaw(policy, desired, observed, attached.index) && (await findFlaw());
    if (left !== undefined) throw interfaceChanged(policy, left);
    return changes;
  };

  const split = async (desired: Desired, observed: Observed): Promise<readonly string[]> => {
    const filtered = await filter.reconcile(desired.filter);
    return [...(await repair(desired, observed)), ...nameOf(filtered)];
  };

  const prefixesNow = (): readonly Prefix[] =>
    attached && policy.mode === 'split' ? tunnelPrefixes(attached.own, policy.prefixes) : [];

  /** What others have made of our interface, if it carries no packets now. */
  const findFlaw = async (): Promise<string | undefined> => {
    if (attached === undefined) return undefined;
    const observed = await observeOurs(prefixesNow());
    return flaw(policy, desiredState(policy, attached.own, observed), observed, attached.index);
  };

  const observeOurs = async (prefixes: readonly Prefix[] = []): Promise<Observed> =>
    withoutNamesake(policy, await observe(machine, policy, prefixes), attached?.index);

  const look = async (prefixes: readonly Prefix[]): Promise<Observed> => {
    try {
      return await observeOurs(prefixes);
    } catch (error) {
      if (policy.mode === 'split' || closedOnce) throw error;
      open = true;
      throw lockdownOpen(error);
    }
  };

  const repair = async (desired: Desired, observed: Observed): Promise<readonly string[]> => {
    const changes = repairs(policy, desired, observed);
    for (const change of changes) await machine.change(change);
    return changes.map(describeChange);
  };

  const nameOf = (filtered: boolean): readonly string[] =>
    filtered ? [`nftables table ${filter.name}`] : [];

  /** First closed by routes and rules alone, which need no nft; then the filter, and what only a filter makes safe. */
  const lock = async (desired: Desired, observed: Observed): Promise<readonly string[]> => {
    let closed: readonly string[];
    try {
      closed = filter.holds() ? [] : await repair(closing(desired), observed);
    } catch (error) {
      if (closedOnce) throw error;
      open = true;
      throw lockdownOpen(error);
    }
    open = false;
    closedOnce = true;
    let filtered: boolean;
    try {
      filtered = await filter.reconcile(desired.filter);
    } catch (error) {
      unfiltered(error);
      throw error;
    }
    const rest = await repair(desired, closed.length === 0 ? observed : await observeOurs());
    return [...closed, ...rest, ...nameOf(filtered)];
  };

  let warned = false;
  const unfiltered = (error: unknown): void => {
    if (!warned)
      log(
        'error',
        `the lockdown is closed by routes and rules only, without its filter: a program that binds itself to an interface gets out. ${describeError(error)}`,
      );
    warned = true;
  };

  const schedule = repairSchedule(
    () =>
      inTurn(async () => {
        logRepairs(await repairOrGiveUp());
      }),
    (error, first) => {
      note(error);
      if (first) log('warning', describeError(error));
    },
  );

  /**
   * Others may change the interface while it is being repaired. What cannot be restored by another attempt either is left to whoever opened
   * it, unless it works all the same.
   */
  const repairOrGiveUp = async (): Promise<readonly string[]> => {
    for (let left = ATTEMPTS; ; ) {
      try {
        return await reconcile();
      } catch (error) {
        const found = await findFlaw().catch(() => undefined);
        if (found === undefined) throw error;
        if (--left > 0) {
          await settling();
          continue;
        }
        attached = undefined;
        broken(isFailure(error) ? error : interfaceChanged(policy, found));
        throw error;
      }
    }
  };

  const attach = async (own: Uint8Array, fd: number | undefined): Promise<void> => {
    const name = (fd !== undefined && tunName(fd)) || policy.device;
    const found = (await machine.interfaces()).find((each) => each.name === name);
    if (found === undefined) throw interfaceChanged(policy, 'was removed before it was set up');
    attached = { own, index: found.index };
    try {
      await begin();
    } catch (error) {
      attached = undefined;
      throw error;
    }
  };

  const begin = async (): Promise<void> => {
    // The subscription comes before the first look, or a change in between would go unnoticed.
    begun = true;
    try {
      subscription ??= watch(policy.mode === 'lockdown', (change) => {
        if (concerns(policy, filter.name, attached?.index, change)) schedule.request();
      });
    } catch (error) {
      // A kernel that tells nothing of its filters may have none; it can be closed all the same.
      if (policy.mode === 'lockdown') await reconcile();
      throw error;
    }
    await reconcile();
  };

  const stop = async (persist: boolean): Promise<void> => {
    if (stopped) return;
    stopped = true;
    schedule.close();
    if (!begun) return;
    subscription?.close();
    if (policy.mode === 'lockdown' && persist) return;
    if (policy.mode === 'lockdown' || policy.bypass) await remove(machine, policy, log);
    await filter.removeApplied();
  };

  return {
    start: () => inTurn(policy.mode === 'split' ? () => clean(machine, policy, filter, log) : begin),
    attach: (own, fd) => inTurn(() => attach(own, fd)),
    stop: (persist) => inTurn(() => stop(persist)),
    isOpen: () => open,
  };
}

function lockdownOpen(error: unknown): Failure {
  return new Failure(
    'os.lockdown-open',
    'operator',
    `the lockdown is OPEN, traffic of this host is not blocked: ${isFailure(error) ? error.message : String(error)}`,
    {
      action: `${(isFailure(error) && error.action) || 'Look into the log.'} Until then disconnect what must not leave past the tunnel.`,
      cause: error,
    },
  );
}

/** True if a change of the kernel may be one of what the policy describes. `index` is that of our interface. */
function concerns(policy: Policy, table: string, index: number | undefined, change: KernelChange): boolean {
  switch (change.kind) {
    case 'route':
      return change.table === policy.table || (change.index !== undefined && change.index === index);
    case 'filter':
      return change.table === table;
    case 'rule':
      return policy.mode === 'lockdown' || policy.bypass === true;
    default:
      return true;
  }
}
