import type { Choice } from '../../os/net/choice.ts';
import type { AddressOrder } from '../../os/net/connect.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import type { Endpoint, Place } from '../../os/net/service.ts';
import { Failure } from '../../protocol/failure.ts';
import { type Prefix, parseIpv6 } from '../../protocol/ipv6.ts';
import type { TunDevice } from '../../tunnel/client.ts';
import type { Config } from '../config/config.ts';
import type { TlsIdentity } from '../identity/session.ts';
import { type Lan, type LanOptions, openLan } from '../network/lan.ts';
import { namedCaptive } from './captive.ts';
import type { ControlMessages, TunnelEvent, TunnelSession } from './session.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';

/** What the TLS transport needs of the kernel; a test without a kernel of its own brings another. */
export interface TunnelPlatform {
  readonly openTun: (name: string) => TunDevice;
  /** The source address of packets to `address`; undefined without a route. */
  readonly sourceTowards: (address: string, mark: number) => string | undefined;
}

export interface TlsSessionOptions {
  readonly config: Config;
  readonly platform: TunnelPlatform;
  readonly identity: () => Promise<TlsIdentity>;
  readonly lookup: Lookup;
  /** Which host is tried when. */
  readonly choice: Choice;
  readonly proxy: HttpProxy | undefined;
  /** Firewall mark of the connection; 0: none. */
  readonly mark: number;
  /** Called when the interface is there: it gets its addresses and routes before this resolves. */
  readonly attach: (own: Uint8Array, fd: number) => Promise<void>;
  readonly control: ControlMessages;
  /** Aborted with a Failure when the agent stops. */
  readonly stopping: AbortSignal;
}

/** The interface that is up, and what runs over it. */
interface Raised {
  readonly address: string;
  readonly tunnel: Tunnel;
  readonly lan: Lan | undefined;
}

/** The router of a connection, and the source address it was reached from. */
interface Path {
  readonly router: string;
  readonly source: string | undefined;
}

/** The tunnel over TLS: nothing is opened before `connect`. */
export function tlsSession(options: TlsSessionOptions): TunnelSession {
  const { config, platform, identity, choice, mark } = options;
  let raised: Raised | undefined;
  let raising: { readonly address: string; readonly tunnel: Promise<Tunnel> } | undefined;
  let path: Path | undefined;
  let prefix: Prefix | undefined;
  /** Where the connection leads to, whether it has been up, and the number of the attempt that has made it, or will. */
  let place: Place | undefined;
  let wasUp = false;
  let attempts = 0;
  /** All that attempt was to try, in their order. */
  let list: readonly Endpoint[] = [];
  /** Of the connection that there is, or is being made. */
  let tell: ((event: TunnelEvent) => void) | undefined;

  const close = (): void => {
    raised?.lan?.close();
    raised?.tunnel.close();
    raised = undefined;
  };

  const stop = (): void => {
    tell = undefined;
    raised?.tunnel.stop();
  };

  const raise = async (address: string): Promise<Tunnel> => {
    if (raised?.address === address && raised.tunnel.usable) return raised.tunnel;
    close();
    raised = await raiseInterface(options, address);
    raised.tunnel.allow(prefix);
    return raised.tunnel;
  };

  /** A network change may ask for a connection while one is being made ready. */
  const raiseOnce = async (address: string): Promise<Tunnel> => {
    while (raising !== undefined && raising.address !== address) await raising.tunnel.catch(() => {});
    raising ??= { address, tunnel: raise(address) };
    try {
      return await raising.tunnel;
    } finally {
      raising = undefined;
    }
  };

  /** What all connections have in common. */
  const common = ({ ca, names, certificate, key }: TlsIdentity) => {
    const { tunnelPort: port, connectTimeout: timeoutMs } = config.remote;
    const { lookup, proxy } = options;
    const { wire } = config.tunnel;
    return { port, mark, timeoutMs, ca, names, certificate, key, proxy, wire, lookup };
  };

  /** `router` is "address port n", or "? port 0" if the connection was gone before it could be asked. */
  const pathTo = (router: string): Path => {
    const address = router.split(' ')[0]!;
    return { router, source: address === '?' ? undefined : platform.sourceTowards(address, mark) };
  };

  return {
    async connect(report) {
      const own = await identity();
      // The interface is raised also where no host is known; and behind this nothing is waited for but the interface.
      const [found] = await Promise.allSettled([choice.next()]);
      const tunnel = await raiseOnce(own.address);
      if (found.status === 'rejected') throw found.reason;
      place = undefined;
      wasUp = false;
      list = found.value;
      const attempt = ++attempts;
      tell = (event) => {
        if (place !== undefined) judge(choice, place, event, wasUp);
        wasUp = event.kind === 'up';
        path = event.kind === 'up' ? pathTo(event.router) : undefined;
        if (event.kind !== 'up') tell = undefined;
        if (event.kind === 'down') report({ ...event, failure: namedCaptive(event.failure) });
        else report(event.kind === 'verdict' ? { ...event, elsewhere: hasMore(place, list) } : event);
      };
      const onTried = (tried: Place, reached: boolean): void => {
        if (!reached) choice.failed(tried);
        else if (attempt === attempts) place = tried;
      };
      const where = { hosts: found.value, addressOrder: choice.addresses, onTried };
      tunnel.start({ ...common(own), ...where }, (event) => tell?.(event));
    },

    async leave() {
      if (place !== undefined) choice.ended(place);
      return (await choice.others(place).catch(() => [])).length > 0;
    },

    async move() {
      const here = place;
      const [own, hosts] = [await identity(), await choice.others(here)];
      if (hosts.length === 0)
        throw new Failure('net.no-such-host', 'retry', 'no other host of the fabric is known');
      if (raised === undefined || raised.address !== own.address || tell === undefined) return;
      let target: Place | undefined;
      const onTried = (tried: Place, reached: boolean): void => {
        if (reached) target = tried;
        else choice.failed(tried);
      };
      const addressOrder: AddressOrder = (endpoint, found) => choice.addresses(endpoint, found, here);
      const where = { hosts, addressOrder, onTried };
      const failure = await raised.tunnel.move({ ...common(own), ...where }, (event) => {
        if (place !== target) wasUp = false;
        place = target;
        list = hosts;
        tell?.(event);
      });
      if (failure === undefined) return;
      // What was cancelled here says nothing of the other host.
      if (target !== undefined && failure.code !== 'net.aborted') choice.failed(target);
      throw failure;
    },

    allow(given) {
      prefix = given;
      raised?.tunnel.allow(given);
    },

    lose(failure) {
      close();
      tell?.({ kind: 'down', failure });
    },

    probe() {
      const source = path && pathTo(path.router).source;
      // Without any path the connection may yet survive: the cable may be back in a second.
      if (source !== undefined && source !== path?.source) {
        path = undefined;
        stop();
        return 'moved';
      }
      raised?.tunnel.probe();
      return 'probed';
    },

    sendReport: () => raised?.tunnel.sendReport(),
    sendRequest: () => raised?.tunnel.sendRequest(),
    stop,
    traffic: () => raised?.tunnel.traffic(),
    counters: () => raised?.tunnel.counters(),
    silentMs: () => raised?.tunnel.silentMs(),
    close,
  };
}

/** What a tunnel's event says about where it leads to. Most verdicts are about the device, and another host would say the same. */
function judge(choice: Choice, at: Place, event: TunnelEvent, wasUp: boolean): void {
  if (event.kind === 'up') choice.worked(at);
  else if (event.kind === 'down') choice[wasUp ? 'ended' : 'failed'](at);
  else if (event.verdict.kind === 'retry-after') choice.refused(at, 1_000 * event.verdict.seconds);
}

/** Whether the attempt had more to try: hosts in the list behind that one, or addresses of its name. Those before it were not reached. */
function hasMore(place: Place | undefined, list: readonly Endpoint[]): boolean {
  if ((place?.peers?.length ?? 0) > 0) return true;
  const found = list.findIndex(({ host, port }) => host === place?.host && port === place.port);
  return found >= 0 && found + 1 < list.length;
}

/** Opens the TUN with its addresses and routes, the data plane over it, and the LAN server if it is configured. */
async function raiseInterface(
  { config, platform, attach, control, stopping }: TlsSessionOptions,
  address: string,
): Promise<Raised> {
  const own = parseIpv6(address);
  const device = platform.openTun(config.tunnel.device);
  try {
    await attach(own, device.fd);
    stopping.throwIfAborted();
  } catch (error) {
    device.close();
    throw error;
  }
  const rules = {
    own,
    allowIpv4: config.route.allowIpv4,
    ...heartbeatRules(config.tunnel),
  };
  if (!config.lan.enabled) return { address, tunnel: openTunnel(device, rules, control), lan: undefined };
  const tunnel = openTunnel(device, rules, control, (packet) => lan.receive(packet));
  const lan = openLan(lanOptions(config, own), tunnel.deliver);
  return { address, tunnel, lan };
}

/** Unless the fabric asks for less: on an idle line a NAT forgets a connection after half a minute or more. */
const PERIOD_MS = 25_000;
const TIMEOUT_MS = 10_000;

/** The fabric shortens what nobody has set. */
export const heartbeatRules = ({
  heartbeatPeriod: period,
  heartbeatTimeout: timeout,
}: Pick<Config['tunnel'], 'heartbeatPeriod' | 'heartbeatTimeout'>) => ({
  heartbeatPeriodMs: period === 'auto' ? PERIOD_MS : period,
  heartbeatTimeoutMs: timeout === 'auto' ? TIMEOUT_MS : timeout,
  shortened: period === 'auto' && timeout === 'auto',
});

/** The configuration's part on a host behind the interface. */
function lanOptions({ tunnel, route, lan }: Config, own: Uint8Array): LanOptions {
  const { defaultRoute, advertisePeriod: periodMs } = lan;
  return { own, mtu: tunnel.mtu, prefixes: route.prefixes, defaultRoute, periodMs };
}
