import { closeSync, readSync, writeSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { generateP256 } from '../../../crypto/primitives.ts';
import type { Admission, Endpoint, Standing } from '../../../fabric/registry/admission.ts';
import type { RouterLimits } from '../../../fabric/router/limits.ts';
import type { NetworkSource } from '../../../fabric/router/networks.ts';
import type { PaceSource } from '../../../fabric/router/pace.ts';
import type { RateSource } from '../../../fabric/router/rates.ts';
import type { RootUpdates } from '../../../fabric/router/roots.ts';
import { type Router, startRouter } from '../../../fabric/router/router.ts';
import type { RuleSource } from '../../../fabric/router/rules.ts';
import type { RouteSink } from '../../../fabric/router/session-routes.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import { matches, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import type { Beats } from '../../../protocol/tunnel/beats.ts';
import { encodeFrame, frameReader } from '../../../protocol/tunnel/frame.ts';
import { isControl, parseVerdict, type Verdict } from '../../../protocol/tunnel/verdict.ts';
import { ALPN_CONTROL } from '../../../protocol/tunnel/wire.ts';
import type { TunDevice } from '../../../tunnel/client.ts';
import { packetPair } from '../../native/packetpair.ts';
import { type IdentityFiles, identityFiles } from '../identities.ts';

/** A device with its identity. */
export interface Device extends IdentityFiles {
  readonly address: Uint8Array;
  readonly name: string;
  readonly publicKey: Uint8Array;
}

export async function makeDevice(name: string): Promise<Device> {
  const address = parseIpv6(name);
  const keys = generateP256();
  return { address, name, publicKey: keys.publicKey, ...(await identityFiles(address, keys)) };
}

/** A registry in memory that records its calls. */
export interface FakeAdmission extends Admission {
  readonly history: string[];
  /** Makes every call fail, as a broken database would. */
  broken: boolean;
  /** The addresses that the router has looked up. */
  readonly asked: string[];
  /** Registers or changes a device, of the group of all of them unless given, and notifies the router. */
  set(
    device: Device,
    standing: Standing,
    network?: string,
    more?: { gid?: Uint8Array; outdated?: true; delegated?: string },
  ): void;
  /** Another node has attached the device; the router hears of it unless it is `unheard`. */
  attachElsewhere(device: Device, heard?: 'unheard'): void;
  /** How many addresses the router has looked up together, each time. */
  readonly together: number[];
  /** Changes something without notifying the router. */
  unheard(change: () => void): void;
  /** Tells the router that it has missed changes. */
  missed(): Promise<void>;
  /** Changes the standing of all devices of a group, and notifies the router once. */
  setGroup(gid: Uint8Array, standing: Standing): Promise<void>;
  remove(device: Device): void;
  listeners(): number;
}

/** A tunnel as the history names it. */
const tunnelOf = (address: Uint8Array, generation: number | undefined): string =>
  generation === undefined ? toHex(address) : `${toHex(address)} ${generation}`;

/** The node that attaches devices by `attach`. */
export const HERE = 'here';

/** The group of devices that have none of their own. */
const GROUP = new Uint8Array(32);

export function fakeAdmission(): FakeAdmission {
  const endpoints = new Map<string, Endpoint>();
  const listeners = new Set<(address: Uint8Array) => unknown>();
  const ofGroups = new Set<(gid: Uint8Array) => unknown>();
  const ofAll = new Set<() => unknown>();
  const asked: string[] = [];
  const together: number[] = [];
  const history: string[] = [];
  const behind = (address: Uint8Array): Endpoint | undefined =>
    [...endpoints.values()].find(
      ({ delegated }) => typeof delegated === 'object' && matches(delegated, address),
    );
  let deaf = false;
  const fire = (address: Uint8Array): void => {
    if (deaf) return;
    for (const listener of listeners) listener(address);
  };
  const attachAt = (node: string, address: Uint8Array): number => {
    const endpoint = endpoints.get(toHex(address))!;
    const generation = (endpoint.attached?.generation ?? 0) + 1;
    endpoints.set(toHex(address), { ...endpoint, attached: { generation, node } });
    return generation;
  };
  return {
    history,
    asked,
    together,
    broken: false,
    lookup(address) {
      asked.push(toHex(address));
      if (this.broken) throw new Error('the disk is full');
      return endpoints.get(toHex(address));
    },
    holders(addresses) {
      together.push(addresses.length);
      return addresses.map((address) => this.lookup(address) ?? behind(address));
    },
    excluded() {
      if (this.broken) throw new Error('the disk is full');
      return [...endpoints.values()].filter(
        ({ standing }) => standing === 'suspended' || standing === 'banned',
      ).length;
    },
    hasNetwork(address) {
      if (this.broken) throw new Error('the disk is full');
      return matches(parsePrefix('fd00:1::/64'), address);
    },
    hasAnchors: () => false,
    listedAddress: () => undefined,
    vouchers: () => [],
    vouches: () => false,
    admitVouched: () => Promise.reject(new Error('no CA is there')),
    onChange(listener, ofGroup = () => {}, missed = () => {}) {
      listeners.add(listener);
      ofGroups.add(ofGroup);
      ofAll.add(missed);
      return () => listeners.delete(listener);
    },
    connected(address, _, generation) {
      if (this.broken) throw new Error('the disk is full');
      history.push(`+${tunnelOf(address, generation)}`);
    },
    disconnected(address, generation) {
      if (this.broken) throw new Error('the disk is full');
      history.push(`-${tunnelOf(address, generation)}`);
    },
    reported(address, { version, failure }) {
      const failed = failure === undefined ? '' : ` ${failure.code} ${failure.seconds}`;
      history.push(`says ${toHex(address)} ${version}${failed}`);
    },
    async decommission(address) {
      if (this.broken) throw new Error('the disk is full');
      history.push(`leaves ${toHex(address)}`);
      const endpoint = endpoints.get(toHex(address));
      if (endpoint !== undefined) endpoints.set(toHex(address), { ...endpoint, standing: 'retired' });
      fire(address);
    },
    async attach(address) {
      if (this.broken) throw new Error('the disk is full');
      const generation = attachAt(HERE, address);
      history.push(`attaches ${tunnelOf(address, generation)}`);
      fire(address);
      return { generation, replacements: [], former: '' };
    },
    attachElsewhere({ address }, heard) {
      attachAt('elsewhere', address);
      if (heard === undefined) fire(address);
    },
    detached(address, generation) {
      history.push(`detaches ${toHex(address)} ${generation}`);
    },
    async clones(address, from) {
      history.push(`twins ${toHex(address)} ${from.join(' ')}`);
      if (this.broken) throw new Error('the disk is full');
      return true;
    },
    async delegate(address) {
      history.push(`wants ${toHex(address)}`);
    },
    set(device, standing, network = 'fd00:1::/64', { gid = GROUP, outdated, delegated } = {}) {
      const { address, publicKey } = device;
      endpoints.set(toHex(address), {
        address,
        longtermKey: publicKey,
        standing,
        gid,
        network: parsePrefix(network),
        ...(endpoints.get(toHex(address))?.attached && {
          attached: endpoints.get(toHex(address))!.attached!,
        }),
        ...(outdated && { outdated }),
        ...(delegated !== undefined && {
          delegated: delegated === 'awaited' || delegated === 'none' ? delegated : parsePrefix(delegated),
        }),
      });
      fire(address);
    },
    async setGroup(gid, standing) {
      for (const [name, endpoint] of endpoints)
        if (endpoint.gid === gid) endpoints.set(name, { ...endpoint, standing });
      for (const listener of ofGroups) await listener(gid);
    },
    unheard(change) {
      deaf = true;
      change();
      deaf = false;
    },
    async missed() {
      for (const listener of ofAll) await listener();
    },
    remove(device) {
      endpoints.delete(toHex(device.address));
      fire(device.address);
    },
    listeners: () => listeners.size,
  };
}

/** A device that is admitted. */
export async function activeDevice(admission: FakeAdmission, name: string): Promise<Device> {
  const device = await makeDevice(name);
  admission.set(device, 'active');
  return device;
}

/** The same of each name. */
export const activeDevices = <const Names extends readonly string[]>(
  admission: FakeAdmission,
  ...names: Names
): Promise<{ -readonly [Each in keyof Names]: Device }> =>
  Promise.all(names.map((name) => activeDevice(admission, name))) as never;

/** The first record of a ClientHello that is never completed. */
export const HALF_HELLO = Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3);

/** A TUN without a kernel: the other end of a socket pair that the router uses as one. */
export interface FakeTun extends TunDevice {
  /** All packets that the router wrote so far. */
  readonly written: Uint8Array[];
  /** Sends packets as the host. */
  deliver(...packets: readonly Uint8Array[]): void;
  /** The device is removed: the kernel refuses everything from now on. */
  remove(): void;
}

/** With `offload` packets have a virtio header, as `TunDevice` says. */
export function fakeTun(offload: TunDevice['offload'] = 0): FakeTun {
  const [fd, host] = packetPair();
  const packets: Uint8Array[] = [];
  const room = Buffer.alloc(65_536);
  let open = true;
  const remove = (): void => {
    if (open) closeSync(host);
    open = false;
  };
  return {
    name: 'fake0',
    fd,
    offload,
    get written() {
      for (let length = read(host, room); open && length > 0; length = read(host, room)) {
        packets.push(Uint8Array.from(room.subarray(0, length)));
      }
      return packets;
    },
    close: () => closeSync(fd),
    deliver(...sent) {
      for (const packet of sent) writeSync(host, packet);
    },
    remove,
  };
}

function read(fd: number, room: Buffer): number {
  try {
    return readSync(fd, room);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

/** A router on a free port of the loopback; `lines` collects its log. */
export async function testRouter(
  admission: Admission,
  o: {
    tun?: TunDevice;
    limits?: Partial<RouterLimits>;
    lines?: string[];
    threads?: number;
    networks?: NetworkSource;
    rules?: RuleSource;
    rates?: RateSource;
    roots?: RootUpdates;
    decommission?: boolean;
    node?: string;
    routes?: RouteSink;
    pace?: PaceSource;
    beats?: Beats;
  } = {},
): Promise<Router> {
  const identity = await makeDevice('fd00::ffff');
  return startRouter({
    listen: { host: '::', port: 0 },
    certificate: identity.certificate,
    key: identity.key,
    admission,
    ...(o.tun === undefined ? {} : { tun: o.tun }),
    ...(o.networks === undefined ? {} : { networks: o.networks }),
    ...(o.rules === undefined ? {} : { rules: o.rules }),
    ...(o.rates === undefined ? {} : { rates: o.rates }),
    ...(o.roots === undefined ? {} : { roots: o.roots }),
    ...(o.pace === undefined ? {} : { pace: o.pace }),
    ...(o.beats === undefined ? {} : { beats: o.beats }),
    ...(o.decommission === undefined ? {} : { decommission: o.decommission }),
    ...(o.node === undefined ? {} : { node: o.node }),
    ...(o.routes === undefined ? {} : { routes: o.routes }),
    threads: o.threads ?? 2,
    log: (level, message) => o.lines?.push(`${level} ${message}`),
    limits: { lingerMs: 1000, ...o.limits },
  });
}

/** How a connection ended, seen from the device. */
export interface Ending {
  readonly how: 'orderly' | 'reset' | 'aborted';
  readonly verdict?: Verdict;
}

/** A device's end of a tunnel. */
export interface Peer {
  readonly tls: TLSSocket;
  readonly raw: Socket;
  /** IP packets received so far. */
  readonly received: Uint8Array[];
  /** Control messages received so far. */
  readonly controls: Uint8Array[];
  readonly ending: Promise<Ending>;
  send(...packets: readonly Uint8Array[]): void;
  close(): void;
}

export interface Manner {
  /** The ALPN names offered; a C peer offers none. */
  readonly alpn?: readonly string[];
  readonly version?: SecureVersion;
  readonly host?: string;
  readonly ciphers?: string;
  /** Groups for the key agreement. */
  readonly ecdhCurve?: string;
  /** Gets the socket before the handshake. */
  readonly listen?: (tls: TLSSocket) => void;
}

/** How our own agent connects. */
export const OURS: Manner = { alpn: [ALPN_CONTROL] };

/** Connects and completes the handshake. Whether the router admits the device shows later. */
export async function connect(
  router: Pick<Router, 'port'>,
  device: Device | undefined,
  manner: Manner = {},
): Promise<Peer> {
  const raw = connectTcp({ host: manner.host ?? '127.0.0.1', port: router.port });
  const tls = connectTls({
    socket: raw,
    ...(device === undefined ? {} : { cert: device.certificate, key: device.key }),
    rejectUnauthorized: false,
    ...(manner.alpn === undefined ? {} : { ALPNProtocols: [...manner.alpn] }),
    ...(manner.version === undefined ? {} : { minVersion: manner.version, maxVersion: manner.version }),
    ...(manner.ciphers === undefined ? {} : { ciphers: manner.ciphers }),
    ...(manner.ecdhCurve === undefined ? {} : { ecdhCurve: manner.ecdhCurve }),
  });
  manner.listen?.(tls);
  const received: Uint8Array[] = [];
  const controls: Uint8Array[] = [];
  const reader = frameReader();
  let verdict: Verdict | undefined;
  tls.on('data', (chunk: Uint8Array) => {
    for (const packet of reader.push(chunk)) {
      if (!isControl(packet)) {
        received.push(packet.slice());
        continue;
      }
      controls.push(packet.slice());
      verdict = parseVerdict(packet);
    }
  });
  let how: Ending['how'] | undefined;
  const ending = new Promise<Ending>((resolve) => {
    tls.on('end', () => {
      how ??= 'orderly';
    });
    tls.on('error', (error: NodeJS.ErrnoException) => {
      how ??= error.code === 'ECONNRESET' ? 'reset' : 'aborted';
    });
    tls.on('close', () => resolve({ how: how ?? 'aborted', ...(verdict === undefined ? {} : { verdict }) }));
  });
  await new Promise<void>((resolve) => {
    tls.once('secureConnect', () => resolve());
    tls.once('close', () => resolve());
  });
  return {
    tls,
    raw,
    received,
    controls,
    ending,
    send: (...packets) => {
      tls.write(concat(...packets.map(encodeFrame)));
    },
    close: () => tls.end(),
  };
}

/** Waits until `done`; the test's timeout ends a wait in vain. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Connects a device and waits until the router has admitted it. */
export async function admitted(router: Router, device: Device, manner: Manner = {}): Promise<Peer> {
  const before = router.sessions().find((session) => session.address === device.name)?.from;
  const peer = await connect(router, device, manner);
  await until(() => {
    const now = router.sessions().find((session) => session.address === device.name)?.from;
    return now !== undefined && now !== before;
  });
  return peer;
}
