import { watchKernel } from '../../os/linux/netlink.ts';
import { type Kernel, kernel, type Rule } from '../../os/linux/network-config.ts';
import { repairSchedule, turns } from '../../os/linux/repair-schedule.ts';
import {
  type MetricRoute,
  MOST_CHANGES,
  openRouteWriter,
  type RouteChange,
} from '../../os/linux/route-writer.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import type { RoutesServing } from '../operations/contract/serving.ts';

/** Where the routes of tunnels go, and the number that says who made them (rtm_protocol). */
export interface RoutesSettings {
  readonly table: number;
  readonly protocol: number;
}

/** The routes of this node's tunnels, in a kernel table of their own, from which a BGP daemon takes them (docs/scale.md). */
export interface TunnelRoutes {
  /** Resolves once the kernel has the route. One that fails is tried again until it is removed. @throws Failure `os.routes-failed`, `os.not-permitted` */
  add(route: MetricRoute): Promise<void>;
  /** Takes back one `add`; the route goes with the last of them. */
  remove(route: MetricRoute): void;
  serving(): RoutesServing;
  /** Removes the routes and the rule. */
  close(): Promise<void>;
}

/** The kernel; a test brings its own. */
export interface Dependencies {
  readonly kernel: Pick<Kernel, 'interfaces' | 'rules' | 'change'>;
  readonly watch: typeof watchKernel;
  readonly open: typeof openRouteWriter;
}

/** Before the agent's rules (docs/routes.md), should one run on this host, and before the main table's. */
export const RULE_PRIORITY = 8_380;
/** If another program undoes our repairs again and again, a line is logged so often. */
const LINE_EVERY_MS = 60_000;

export const ruleOf = ({ table }: Pick<RoutesSettings, 'table'>): Rule => ({
  family: 6,
  priority: RULE_PRIORITY,
  table,
});

/** Whether the rule is among these. */
export const hasRule = (rules: readonly Rule[], { priority, table }: Rule): boolean =>
  rules.some((each) => each.priority === priority && each.table === table && Object.keys(each).length === 3);

/** A route, and how often it was added. */
interface Held {
  readonly route: MetricRoute;
  holders: number;
}

interface Pending {
  readonly change: RouteChange;
  done(failure: unknown): void;
}

/**
 * Removes the routes that a process before this one has left behind, and has the host look up the table before its main one. What other programs take
 * away is restored within two seconds. @throws Failure `os.…`
 */
export async function openTunnelRoutes(
  tun: string,
  settings: RoutesSettings,
  log: Log,
  { kernel: machine, watch, open }: Dependencies = { kernel, watch: watchKernel, open: openRouteWriter },
): Promise<TunnelRoutes> {
  const { table, protocol } = settings;
  const rule = ruleOf(settings);
  const writer = open(tun, table, protocol);
  const restored = repeatedLine(log, 'warning', { each: 1, periodMs: LINE_EVERY_MS });
  const inTurn = turns();
  const held = new Map<string, Held>();
  const pending: Pending[] = [];
  let writing = false;
  let failing: string | undefined;
  let closed = false;

  function* routes(): Iterable<MetricRoute> {
    for (const { route } of held.values()) yield route;
  }
  const ensureRule = async (): Promise<boolean> => {
    if (hasRule(await machine.rules(6), rule)) return false;
    await machine.change({ kind: 'add-rule', rule });
    return true;
  };
  const reconcile = async (): Promise<void> => {
    if (closed) return;
    schedule.started();
    const quiet = !writing;
    const { added, removed, failure } = await writer.reconcile(routes());
    if (failure !== undefined) throw failure;
    const lacked = await ensureRule();
    failing = undefined;
    const words = [
      // While routes are being written nobody can say whose change it was.
      ...(quiet && !writing && added + removed > 0 ? [counted(added + removed, 'route')] : []),
      ...(lacked ? ['the rule'] : []),
    ];
    if (words.length > 0)
      restored('', `table ${table} was changed by another program, and is restored: ${words.join(' and ')}`);
  };
  const schedule = repairSchedule(
    () => inTurn(reconcile),
    (error, first) => {
      failing = describe(error);
      if (first) log('error', `the routes of tunnels in table ${table} cannot be restored: ${failing}`);
    },
  );

  /** All that waits goes to the kernel together. */
  const write = async (): Promise<void> => {
    if (writing) return;
    writing = true;
    // What else is asked for in this turn goes along.
    await Promise.resolve();
    while (pending.length > 0) {
      const some = pending.splice(0, MOST_CHANGES);
      const outcomes = await writer.change(some.map(({ change }) => change)).catch((error: unknown) => error);
      for (const [i, { done }] of some.entries()) done(Array.isArray(outcomes) ? outcomes[i] : outcomes);
    }
    writing = false;
  };
  const put = (change: RouteChange, done: (failure: unknown) => void): void => {
    pending.push({ change, done });
    void write();
  };

  let index: number | undefined;
  // Before the first look, or a change in between would go unnoticed.
  const subscription = watch(false, (change) => {
    const ours =
      change.kind === 'route'
        ? change.table === table && change.protocol === protocol && change.port !== writer.port
        : change.kind === 'link'
          ? change.index === index
          : change.kind === 'rule' || change.kind === 'lost';
    if (ours) schedule.request();
  });
  const release = (): void => {
    closed = true;
    subscription.close();
    schedule.close();
    restored.close();
  };
  try {
    index = (await machine.interfaces()).find(({ name }) => name === tun)?.index;
    const { removed, failure } = await writer.reconcile([]);
    if (failure !== undefined) throw failure;
    if (removed > 0)
      log('notice', `removed ${counted(removed, 'route')} that an earlier process left in table ${table}`);
    await ensureRule();
  } catch (error) {
    release();
    writer.close();
    throw error;
  }
  return {
    add(route) {
      const key = keyOf(route);
      const known = held.get(key);
      if (known === undefined) held.set(key, { route, holders: 1 });
      else known.holders++;
      return new Promise<void>((resolve, reject) => {
        put({ ...route, remove: false }, (failure) => {
          if (failure === undefined) resolve();
          else {
            schedule.request();
            reject(failure as Error);
          }
        });
      });
    },
    remove(route) {
      const key = keyOf(route);
      const known = held.get(key);
      if (known === undefined || --known.holders > 0) return;
      held.delete(key);
      put({ ...route, remove: true }, (failure) => {
        if (failure !== undefined) schedule.request();
      });
    },
    serving: () => ({ table, protocol, routes: held.size, failing: failing ?? null }),
    async close() {
      release();
      held.clear();
      await inTurn(async () => {
        await machine.change({ kind: 'remove-rule', rule });
        await writer.reconcile([]);
      }).catch((error) =>
        log('warning', `the routes of tunnels in table ${table} are left behind: ${describe(error)}`),
      );
      writer.close();
    },
  };
}

const keyOf = ({ address, length, metric }: MetricRoute): string => `${toHex(address)}/${length}/${metric}`;

const describe = (error: unknown): string => (isFailure(error) ? error.message : String(error));
