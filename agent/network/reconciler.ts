import { type KernelChange, watchKernel } from '../../os/linux/netlink.ts';
import { type Interface, type Kernel, kernel } from '../../os/linux/network-config.ts';
import { repairSchedule } from '../../os/linux/repair-schedule.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { type Prefix, parsePrefix, prefixOf } from '../../protocol/ipv6.ts';
import { describeChange, describeError } from './describe.ts';
import { checkPrefixes, closing, desiredState, removal, repairs, tunnelPrefixes } from './desired.ts';
import { type Filter, openFilter } from './filter.ts';
import { isLockdown } from './nftables.ts';
import { observe } from './observe.ts';
import type { Desired, Observed, Policy } from './policy.ts';

/** Keeps interface, routes, rules and filter as the policy wants them, whichever program changes them. */
export interface Reconciler {
  /** Lockdown holds when this resolves, with or without a tunnel; later calls only repair what differs. */
  start(): Promise<void>;
  /** The interface is there now: it gets its MTU and the own address, and the routes lead through it when this resolves. */
  attach(own: Uint8Array): Promise<void>;
  /** Removes everything, unless it is to `persist`. Nothing is repaired any more. */
  stop(persist: boolean): Promise<void>;
  /** True if a lockdown is wanted and nothing holds it, not even routes and rules. */
  isOpen?(): boolean;
}

/** The kernel that is reconciled; a test brings its own. */
export interface Dependencies {
  readonly kernel: Kernel;
  readonly watch: typeof watchKernel;
}

/** If another program undoes our repairs again and again, a line is logged so often. */
const LINE_EVERY_MS = 360_000;

/**
 * Nothing is touched before `start` or `attach`. The functions of a reconciler @throws Failure as `Kernel`, and `os.no-netlink`; `note`
 * receives those that no caller does.
 */
export function openReconciler(
  policy: Policy,
  log: Log,
  note: (failure: unknown) => void = () => {},
  { kernel: machine, watch }: Dependencies = { kernel, watch: watchKernel },
): Reconciler {
  const filter = openFilter(policy, machine, log, note);
  const inTurn = turns();
  const logRepairs = repairLog(log);
  let subscription: { close(): void } | undefined;
  let own: Uint8Array | undefined;
  /** Of our interface. */
  let index: number | undefined;
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
    const prefixes = own && policy.mode === 'split' ? tunnelPrefixes(own, policy.prefixes) : [];
    const observed = await look(prefixes);
    index = observed.interfaces.find(({ name }) => name === policy.device)?.index;
    checkPrefixes(prefixes, networksOf(observed.interfaces, policy.device));
    const desired = desiredState(policy, own, observed);
    if (policy.mode === 'split') {
      const filtered = await filter.reconcile(desired.filter);
      return [...(await repair(desired, observed)), ...nameOf(filtered)];
    }
    return lock(desired, observed);
  };

  const look = async (prefixes: readonly Prefix[]): Promise<Observed> => {
    try {
      return await observe(machine, policy, prefixes);
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
    const rest = await repair(desired, closed.length === 0 ? observed : await observe(machine, policy));
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
    () => inTurn(async () => logRepairs(await reconcile())),
    (error, first) => {
      note(error);
      if (first) log('warning', describeError(error));
    },
  );

  const begin = async (): Promise<void> => {
    // The subscription comes before the first look, or a change in between would go unnoticed.
    begun = true;
    try {
      subscription ??= watch(policy.mode === 'lockdown', (change) => {
        if (concerns(policy, filter.name, index, change)) schedule.request();
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
    attach: (address) =>
      inTurn(async () => {
        own = address;
        await begin();
      }),
    stop: (persist) => inTurn(() => stop(persist)),
    isOpen: () => open,
  };
}

/** The IPv6 networks of the other interfaces. */
const networksOf = (interfaces: readonly Interface[], device: string): readonly Prefix[] =>
  interfaces
    .filter(({ name, up }) => name !== device && up)
    .flatMap(({ addresses }) => addresses)
    .filter((address) => address.includes(':') && !address.startsWith('fe80:'))
    .map((address) => {
      const [bare, length] = address.split('/');
      return prefixOf(parsePrefix(bare!).address, Number(length));
    });

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

/** Removes what a crash, `persist` or another configuration of this interface has left of a lockdown, which is recognised by its table. */
async function clean(kernel: Kernel, policy: Policy, filter: Filter, log: Log): Promise<void> {
  // Without nft there is no table either.
  const table = await filter.read().catch(() => undefined);
  if (table === undefined) return;
  if (isLockdown(table)) {
    log('notice', 'the lockdown of an earlier run is lifted, because route.mode is "split"');
    await remove(kernel, { ...policy, mode: 'lockdown' }, log);
  }
  await filter.remove();
}

/** Everything that can be removed, even if one of the changes fails. */
async function remove(kernel: Kernel, policy: Policy, log: Log): Promise<void> {
  for (const change of removal(policy, await observe(kernel, policy))) {
    await kernel.change(change).catch((error) => log('warning', describeError(error)));
  }
}

/** Runs one piece of work after the other: what one has observed must not be what another is changing. */
function turns(): (work: () => Promise<void>) => Promise<void> {
  let queue: Promise<void> = Promise.resolve();
  return (work) => {
    const mine = queue.then(work);
    queue = mine.catch(() => {});
    return mine;
  };
}

/** Logs what was repaired, now and then. */
function repairLog(log: Log): (repaired: readonly string[]) => void {
  let loggedMs = Number.NEGATIVE_INFINITY;
  return (repaired) => {
    const now = performance.now();
    if (repaired.length === 0 || now - loggedMs < LINE_EVERY_MS) return;
    loggedMs = now;
    log('notice', `restored or updated: ${repaired.join('; ')}`);
  };
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
