import { type KernelChange, watchKernel } from '../../os/linux/netlink.ts';
import { type Change, type Kernel, kernel, type NftObject } from '../../os/linux/network-config.ts';
import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import { desiredState, removal, repairs, same } from './desired.ts';
import { filterName, isLockdown } from './nftables.ts';
import { MAIN_TABLE, type Policy, type Sight } from './policy.ts';

/** Keeps interface, routes, rules and filter as the policy wants them, whoever else changes them. */
export interface Guard {
  /** Lockdown holds when this resolves, with or without a tunnel; later calls only repair what differs. */
  start(): Promise<void>;
  /** The interface is there now: it gets its MTU and the own address, and the ways lead through it when this resolves. */
  attach(own: Uint8Array): Promise<void>;
  /** Takes everything away, unless it is to `persist`. Nothing is repaired any more. */
  stop(persist: boolean): Promise<void>;
}

/** The world of a guard; a test brings its own. */
export interface Surroundings {
  readonly kernel: Kernel;
  readonly watch: typeof watchKernel;
}

/** Changes come in bursts; this long after the first one they are looked at, */
const SETTLE_MS = 150;
/** and at most so often, whatever somebody else is busy with. */
const LEAST_INTERVAL_MS = 1_000;
/** What could not be repaired is tried again, at pauses that double up to this one. */
const LONGEST_PAUSE_MS = 60_000;
/** Somebody who undoes our repairs again and again is worth a line now and then. */
const LINE_EVERY_MS = 360_000;

/** Nothing is touched before `start` or `attach`. The functions of a guard @throws Failure as `Kernel`, and `os.no-netlink`; `note` hears of those that nobody else does. */
export function openGuard(
  policy: Policy,
  log: Log,
  note: (failure: unknown) => void = () => {},
  around: Surroundings = { kernel, watch: watchKernel },
): Guard {
  const filter = filterName(policy.device);
  let ears: { close(): void } | undefined;
  let own: Uint8Array | undefined;
  let index: number | undefined;
  /** The ruleset as we gave it, and as the kernel then told it: nft has its own way to write rules, different in each version. */
  let applied:
    | { readonly given: readonly NftObject[]; readonly told: readonly NftObject[] | undefined }
    | undefined;
  let queue: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let loggedMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let warned = false;
  let stopped = false;

  /** One after the other: what the one has seen must not be what the other is changing. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const mine = queue.then(work);
    queue = mine.catch(() => {});
    return mine;
  };

  const look = async ({ mode, table }: Policy): Promise<Sight> => {
    const { kernel } = around;
    const locked = mode === 'lockdown';
    const interfaces = await kernel.interfaces();
    const device = interfaces.find(({ name }) => name === policy.device);
    index = device?.index;
    const routes = locked
      ? [kernel.routes(4, table), kernel.routes(6, table)]
      : device
        ? [kernel.routes(6, MAIN_TABLE, device.name)]
        : [];
    const [rules, found, forwards] = await Promise.all([
      locked ? Promise.all([kernel.rules(4), kernel.rules(6)]) : [],
      Promise.all(routes),
      kernel.forwards(),
    ]);
    return { interfaces, rules: rules.flat(), routes: found.flat(), forwards };
  };

  /** True if the table was not what it should be. In split nothing is asked of nft as long as no table is wanted. */
  const reconcileFilter = async (objects: readonly NftObject[]): Promise<boolean> => {
    if (objects.length === 0 && applied === undefined) return false;
    if (
      applied !== undefined &&
      same(applied.given, objects) &&
      same(applied.told, await around.kernel.filter(filter))
    )
      return false;
    await around.kernel.change({ kind: 'filter', name: filter, objects });
    applied = { given: objects, told: await around.kernel.filter(filter) };
    return true;
  };

  /** In split the table is a courtesy to forwarded connections; the tunnel works without. */
  const tolerate = (error: unknown): boolean => {
    if (policy.mode === 'lockdown' || !isFailure(error)) throw error;
    note(error);
    if (!warned)
      log('warning', `forwarded TCP connections are not clamped to the tunnel's MTU: ${complaint(error)}`);
    warned = true;
    return false;
  };

  const reconcile = async (repairing: boolean): Promise<void> => {
    if (stopped) return;
    lookedMs = performance.now();
    const sight = await look(policy);
    const desired = desiredState(policy, own, sight);
    const first = applied === undefined;
    const filtered = await reconcileFilter(desired.filter).catch(tolerate);
    const changes = repairs(policy, desired, sight);
    for (const change of changes) await around.kernel.change(change);
    const repaired = [...changes.map(describe), ...(filtered && !first ? [`nftables table ${filter}`] : [])];
    if (repairing && repaired.length > 0 && lookedMs - loggedMs >= LINE_EVERY_MS) {
      loggedMs = lookedMs;
      log('notice', `put back or brought up to date: ${repaired.join('; ')}`);
    }
  };

  const plan = (delayMs: number): void => {
    if (stopped || timer !== undefined) return;
    timer = setTimeout(repair, Math.max(delayMs, lookedMs + LEAST_INTERVAL_MS - performance.now()));
  };
  const repair = (): void => {
    timer = undefined;
    inTurn(() => reconcile(true)).then(
      () => {
        failures = 0;
      },
      (error: unknown) => {
        note(error);
        if (failures++ === 0) log('warning', complaint(error));
        plan(Math.min(LONGEST_PAUSE_MS, LEAST_INTERVAL_MS * 2 ** (failures - 1)));
      },
    );
  };

  const hear = (change: KernelChange): void => {
    if (isOurs(change)) plan(SETTLE_MS);
  };
  const isOurs = (change: KernelChange): boolean => {
    switch (change.kind) {
      case 'route':
        return change.table === policy.table || (change.index !== undefined && change.index === index);
      case 'filter':
        return change.table === filter;
      case 'rule':
        return policy.mode === 'lockdown';
      default:
        return true;
    }
  };

  const begin = async (): Promise<void> => {
    // Listening comes before looking, or a change in between would go unnoticed.
    ears ??= around.watch(policy.mode === 'lockdown', hear);
    await reconcile(false);
  };

  /** Takes away what a crash, `persist` or another configuration of this interface has left of a lockdown: its table tells. */
  const clean = async (): Promise<void> => {
    // Who has no nft has no table either.
    const table = await around.kernel.filter(filter).catch(() => undefined);
    if (table === undefined) return;
    if (isLockdown(table)) {
      log('notice', 'the lockdown of an earlier run is lifted, because route.mode is "split"');
      await remove({ ...policy, mode: 'lockdown' });
    }
    await around.kernel.change({ kind: 'filter', name: filter, objects: [] });
  };

  /** Everything that can be, even if one of the changes fails. */
  const remove = async (locked: Policy): Promise<void> => {
    for (const change of removal(locked, await look(locked))) {
      await around.kernel.change(change).catch((error) => log('warning', complaint(error)));
    }
  };

  return {
    start: () => inTurn(policy.mode === 'split' ? clean : begin),
    attach: (address) =>
      inTurn(async () => {
        own = address;
        await begin();
      }),
    stop: (persist) =>
      inTurn(async () => {
        if (stopped) return;
        stopped = true;
        clearTimeout(timer);
        if (ears === undefined) return;
        ears.close();
        if (policy.mode === 'lockdown') {
          if (persist) return;
          await remove(policy);
        }
        if (applied !== undefined) await around.kernel.change({ kind: 'filter', name: filter, objects: [] });
      }),
  };
}

const complaint = (error: unknown): string =>
  isFailure(error)
    ? `${error.code}: ${error.message}. ${error.action ?? ''}`.trim()
    : `internal error: ${String(error)}`;

function describe(change: Change): string {
  switch (change.kind) {
    case 'link':
      return `interface ${change.name}`;
    case 'address':
      return `address ${change.address}`;
    case 'group':
      return `group of ${change.name}`;
    case 'add-rule':
    case 'remove-rule':
      return `IPv${change.rule.family} rule ${change.rule.priority}`;
    case 'add-route':
    case 'remove-route':
      return `IPv${change.route.family} route ${change.route.destination}`;
    case 'filter':
      return `nftables table ${change.name}`;
  }
}
