import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type KernelChange, sourceTowards, watchKernel } from './netlink.ts';

/** Ours to ask about, but not to send to: documentation addresses stand for "anywhere" (RFC 5737, RFC 3849). */
const ANYWHERE = ['192.0.2.1', '2001:db8::1'];

/** A burst of changes (an interface that comes up makes a dozen) counts as one, this long after it began. */
export const SETTLE_MS = 250;

export interface PathOptions {
  /** Host names (ignored: asking a resolver is no business of a watch) and literal addresses. */
  readonly hosts: readonly string[];
  /** Of the sockets whose way it is; 0: none. */
  readonly mark: number;
  /** The kernel's changes; a test brings its own. */
  readonly watch?: typeof watchKernel;
  readonly source?: typeof sourceTowards;
}

/**
 * Calls back when the way out has changed: another source address towards the hosts or towards anywhere, a way where there was none or
 * the reverse, or an interface that has regained its carrier. Changes that do not touch the way (our own TUN's, a container's
 * interface) are not told, so that they cause neither heartbeats nor attempts to connect.
 * @throws Failure `os.not-permitted`, `os.no-netlink`
 */
export function watchPath(options: PathOptions, onChange: () => void): { close(): void } {
  const { mark, watch = watchKernel, source = sourceTowards } = options;
  const targets = [...options.hosts.filter((host) => isIP(host) !== 0), ...ANYWHERE];
  const look = (): string => targets.map((target) => source(target, mark) ?? '-').join(' ');
  /** Interfaces that have had a carrier, and those of them that have lost it. */
  const proven = new Set(present());
  const idle = new Set<number>();
  let path = look();
  let regained = false;
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    timer = undefined;
    const now = look();
    const changed = now !== path || (regained && /[^- ]/.test(now));
    path = now;
    regained = false;
    if (changed) onChange();
  };
  const hear = (change: KernelChange): void => {
    if (change.kind === 'filter' || change.kind === 'forwarding') return;
    if (change.kind === 'link') {
      // A new interface (a container's) matters by the routes that it brings, not by itself.
      const { index, running } = change;
      if (running && idle.delete(index)) regained = true;
      if (running) proven.add(index);
      else if (proven.has(index)) idle.add(index);
    }
    timer ??= setTimeout(settle, SETTLE_MS);
  };
  const kernel = watch(false, hear);
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
