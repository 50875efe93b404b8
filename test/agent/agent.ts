import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, vi } from 'vitest';
import { parseConfig } from '../../agent/config/config.ts';
import type { Clocks } from '../../agent/lifecycle/wall-clock.ts';
import { tunnelPrefixes } from '../../agent/network/desired.ts';
import { startDriver } from '../../agent/service/driver.ts';
import { openEffects, type Platform } from '../../agent/service/effects.ts';
import { type Lookup, systemLookup } from '../../os/net/lookup.ts';
import { readMessage, writeAll } from '../../os/net/message-stream.ts';
import { systemClocks } from '../../os/service/process.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, formatPrefix } from '../../protocol/ipv6.ts';
import { ERROR_MESSAGE } from '../../protocol/xtt/message.ts';
import type { IdentityServer } from './identity-server.ts';
import { type FakeTun, fakeTun } from './router.ts';

/** The identity server on TCP; `mute` makes it answer nothing. */
export async function listen(
  authority: IdentityServer,
  options: { mute?: boolean } = {},
): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer(async (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    if (options.mute) {
      socket.resume();
      return;
    }
    const exchange = authority.connect();
    try {
      for (let i = 0; i < 2; i++) {
        await exchange.send(await readMessage(socket, 10_000));
        await writeAll(socket, await exchange.receive(), 10_000);
      }
    } catch {
      socket.write(ERROR_MESSAGE);
    }
    socket.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** One start of the agent over loopback: everything is real but the TUN and the `ip` command. */
export function boot(place: {
  readonly state: string;
  readonly tunnelPort: number;
  readonly identityPort: number;
  /** The [identity] section, and whatever follows. */
  readonly identity: string;
  /** More keys of [remote]. */
  readonly remote?: string;
  /** Other hosts than loopback; TOML. */
  readonly hosts?: string;
  readonly clocks?: Clocks;
  readonly resolver?: Lookup;
}) {
  const config = parseConfig(
    `[remote]
    hosts = ${place.hosts ?? '["127.0.0.1"]'}
    tunnel-port = ${place.tunnelPort}
    identity-port = ${place.identityPort}
    connect-timeout = "5s"
    ${place.remote ?? ''}
    [state]
    directory = "${place.state}"
    [identity]
    ${place.identity}`,
    'test',
  );
  const log: string[] = [];
  const tuns: FakeTun[] = [];
  const raised: string[] = [];
  /** What the resolver of the machine was told. */
  const told: string[] = [];
  /** What the LAN was given, and 'closed'. */
  const lans: string[] = [];
  const lanKeys: string[] = [];
  /** The source address that the kernel would choose. */
  const way: { source: string | undefined } = { source: '127.0.0.1' };
  const platform: Platform = {
    openTun: () => {
      tuns.push(fakeTun());
      return tuns.at(-1)!;
    },
    openReconciler: ({ device, mtu, prefixes }) => ({
      start: async () => {},
      attach: async (own) => {
        raised.push(
          [device, mtu, formatIpv6(own), ...tunnelPrefixes(own, prefixes).map(formatPrefix)].join(' '),
        );
      },
      stop: async () => {},
    }),
    openDelegatedLan: ({ lan }) => ({
      set: async (prefix, routes, key) => {
        lans.push([lan, ...(prefix ? [prefix, ...routes] : []).map(formatPrefix)].join(' '));
        if (key !== undefined) lanKeys.push(toHex(key));
      },
      trouble: () => undefined,
      close: async () => void lans.push('closed'),
    }),
    sourceTowards: () => way.source,
    resolved: {
      read: async () => ({ servers: [], domains: [] }),
      set: async (link, { servers, domains }) => void told.push([link, ...servers, ...domains].join(' ')),
      revert: async (link) => void told.push(`${link} as before`),
    },
  };
  const effects = openEffects(config, (_, line) => void log.push(line), platform, {
    clocks: place.clocks ?? systemClocks,
    resolver: place.resolver ?? systemLookup,
  });
  const driver = startDriver({
    effects,
    clock: () => performance.now(),
    chance: () => 0.01,
    log: (_, line) => void log.push(line),
  });
  onTestFinished(() => driver.stop());
  const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 10 });
  const online = (): Promise<void> => until(() => expect(driver.situation().kind).toBe('online'));
  const trouble = (code: string): Promise<void> =>
    until(() => expect(driver.situation()).toMatchObject({ trouble: { code } }));
  return { effects, driver, log, tuns, raised, told, lans, lanKeys, way, until, online, trouble };
}
