import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type KernelChange, sourceTowards, watchKernel } from './netlink.ts';

/** Documentation addresses (RFC 5737, RFC 3849) stand for any destination: their route is looked up, nothing is sent to them. */
const ANYWHERE = ['192.0.2.1', '2001:db8::1'];

/** A burst of changes counts as one, this long after its first (an interface that comes up causes a dozen). */
export const SETTLE_MS = 250;

export interface RouteWatchOptions {
  /** Literal addresses; host names are ignored, because the watch does not resolve names. */
  readonly hosts: readonly string[];
  /** SO_MARK of the sockets whose route is watched; 0: none. */
  readonly mark: number;
  /** The kernel's changes; a test brings its own. */
  readonly watch?: typeof watchKernel;
  readonly source?: typeof sourceTowards;
}

/**
 * Calls back when the route out of this host has changed: another source address towards the hosts or towards any destination, a
 * route where there was none or the reverse, or an interface that has regained its carrier. Changes that do not affect the route
 * (of our own TUN or a container's interface) are not reported, so that they cause neither heartbeats nor attempts to connect.
 * @throws Failure `os.not-permitted`, `os.no-netlink`
 */
export function watchRoute(options: RouteWatchOptions, onChange: () => void): { close(): void } {
  const { mark, watch = watchKernel, source = sourceTowards } = options;
  const targets = [...options.hosts.filter((host) => isIP(host) !== 0), ...ANYWHERE];
  const currentRoute = (): string => targets.map((target) => source(target, mark) ?? '-').join(' ');
  /** Indexes of the interfaces that have had a carrier, and of those that have lost it since. */
  const proven = new Set(present());
  const idle = new Set<number>();
  let route = currentRoute();
  let regained = false;
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    timer = undefined;
    const now = currentRoute();
    const changed = now !== route || (regained && /[^- ]/.test(now));
    route = now;
    regained = false;
    if (changed) onChange();
  };
  const onKernelChange = (change: KernelChange): void => {
    if (change.kind === 'filter' || change.kind === 'forwarding') return;
    if (change.kind === 'link') {
      // A new interface (a container's) matters only for the routes that come with it.
      const { index, running } = change;
      if (running && idle.delete(index)) regained = true;
      if (running) proven.add(index);
      else if (proven.has(index)) idle.add(index);
    }
    timer ??= setTimeout(settle, SETTLE_MS);
  };
  const kernel = watch(false, onKernelChange);
  return {
    close() {
      clearTimeout(timer);
      kernel.close();
    },
  };
}

/** The indexes of the interfaces there are. */
function present(): number[] {
  return readdirSync('/sys/class/net').flatMap((name) => {
    try {
      return [Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'))];
    } catch {
      return []; // gone meanwhile, or no interface
    }
  });
}
