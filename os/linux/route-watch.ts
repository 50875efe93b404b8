import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type KernelChange, sourceTowards, watchKernel } from './netlink.ts';

/**
 * Addresses that stand for "anywhere": what they get is the default route, and nothing is sent to them. They are those of two root name
 * servers, since networks give no route to addresses that nobody has, such as those for documentation.
 */
const ANYWHERE = ['198.41.0.4', '193.0.14.129', '2001:503:ba3e::2:30', '2001:7fd::1'];
/** Of the addresses that names have. */
const MOST_KNOWN = 16;

/** A burst of changes counts as one, this long after its first (an interface that comes up causes a dozen). */
export const SETTLE_MS = 250;

export interface RouteWatchOptions {
  /** Literal addresses; host names are ignored, because the watch does not resolve names. */
  readonly hosts: readonly string[];
  /** Addresses that the names are known to have by now. */
  readonly known?: () => readonly string[];
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
  const literal = options.hosts.filter((host) => isIP(host) !== 0);
  /** The source address towards each target; "" without a route. */
  const look = (): ReadonlyMap<string, string> => {
    const known = options.known?.().slice(0, MOST_KNOWN) ?? [];
    return new Map([...literal, ...known, ...ANYWHERE].map((target) => [target, source(target, mark) ?? '']));
  };
  /** Interfaces that have had a carrier, and those of them that have lost it. */
  const proven = new Set(present());
  const idle = new Set<number>();
  let path = look();
  let regained = false;
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    timer = undefined;
    const now = look();
    // A target that was not known before is no change.
    const moved = [...now].some(([target, way]) => (path.get(target) ?? way) !== way);
    const changed = moved || (regained && [...now.values()].some((way) => way !== ''));
    path = now;
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

/** The indexes of the interfaces there are; none are known in a container without sysfs and IPv6. */
function present(): number[] {
  try {
    return readdirSync('/sys/class/net').flatMap((name) => {
      try {
        return [Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'))];
      } catch {
        return []; // gone meanwhile, or no interface
      }
    });
  } catch {
    return withIpv6();
  }
}

/** /proc/net/if_inet6: address, index, prefix length, …, all in hex. */
function withIpv6(): number[] {
  try {
    const lines = readFileSync('/proc/net/if_inet6', 'latin1').trim().split('\n');
    return lines.map((line) => Number.parseInt(line.split(' ')[1] ?? '', 16)).filter((index) => index > 0);
  } catch {
    return [];
  }
}
