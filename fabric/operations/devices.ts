import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, formatPrefix, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Standing } from '../registry/admission.ts';
import type { Page } from '../registry/pages.ts';
import { type AgentReport, type Device, type StandingChange, standingOf } from '../registry/records.ts';
import { type HandshakeCountView, handshakeCountView } from './audit.ts';
import { oneOf, text } from './input.ts';
import {
  type Changed,
  isoTime,
  operation,
  PAGE_FIELDS,
  type PageInput,
  type Presence,
  viewPage,
} from './operation.ts';

/** Handshakes that are shown of one device: all that are kept. */
const HISTORY = 50;

/** A device; times are ISO 8601 in UTC, keys and ids hex. */
export interface DeviceView {
  readonly address: string;
  readonly standing: Standing;
  /** Null: no fabric is serving, so nobody knows. */
  readonly online: boolean | null;
  readonly group: string;
  readonly gid: string;
  readonly network: string;
  readonly pseudonym: string;
  readonly longtermKey: string;
  readonly created: string;
  readonly lastHandshake: { readonly at: string; readonly from: string };
  readonly lastTunnel: { readonly at: string; readonly from: string; readonly ended: string | null } | null;
  readonly agent: AgentView | null;
}

export interface AgentView {
  readonly version: string;
  readonly reported: string;
  readonly lastFailure: { readonly code: string; readonly at: string } | null;
}

/** A device with its newest handshakes. */
export interface DeviceDetails extends DeviceView {
  /** When two devices were last found to have this one's key, and where they connect from. */
  readonly twins: { readonly at: string; readonly from: readonly string[] } | null;
  readonly handshakes: readonly {
    readonly at: string;
    readonly source: string;
    readonly suite: number | null;
    readonly proven: boolean;
    readonly result: string;
  }[];
  /** Earlier ones, of which only the numbers are kept, the most frequent result first. */
  readonly earlierHandshakes: readonly HandshakeCountView[];
}

export interface StandingView {
  readonly address: string;
  readonly standing: Standing;
  /** False if there was nothing to do. */
  readonly changed: boolean;
}

const ADDRESS = text(64);

/** A page of devices, oldest first. */
export const listDevices = operation<PageInput, Page<DeviceView>>(
  'device-list',
  PAGE_FIELDS,
  async ({ registry, running }, input) => {
    const page = await registry.devices(input);
    const presence = await running.presence();
    return viewPage(page, (device) => deviceView(device, presence));
  },
);

/** One device. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const showDevice = operation<{ address: string }, DeviceDetails>(
  'device-show',
  { address: ADDRESS },
  async ({ registry, running }, input) => {
    const device = await registry.device(parseIpv6(input.address));
    const handshakes = await registry.handshakes({ limit: HISTORY }, device);
    const counts = await registry.handshakeCounts(device);
    const clones = await registry.clonesOf(device.address);
    return {
      ...deviceView(device, await running.presence()),
      twins:
        clones === undefined
          ? null
          : { at: isoTime(clones.at), from: clones.detail.from as readonly string[] },
      handshakes: handshakes.rows.map(({ at, source, suite, proven, result }) => ({
        at: isoTime(at),
        source,
        suite: suite ?? null,
        proven,
        result,
      })),
      earlierHandshakes: counts.map(handshakeCountView),
    };
  },
);

/** Evicts, bans or unbans a device. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const setStanding = operation<{ address: string; change: StandingChange }, Changed<StandingView>>(
  'device-standing',
  { address: ADDRESS, change: oneOf('evict', 'ban', 'unban') },
  async ({ registry, running, actor }, input) => {
    const address = parseIpv6(input.address);
    const changed = await registry.setStanding(actor, address, input.change);
    const standing = standingOf(await registry.device(address));
    const effect = await running.notify();
    return { view: { address: formatIpv6(address), standing, changed }, effect };
  },
);

function deviceView(device: Device, presence: Presence | undefined): DeviceView {
  const { handshake, tunnel, agent } = device;
  return {
    address: formatIpv6(device.address),
    standing: standingOf(device),
    online: presence?.(device.address) ?? null,
    group: device.groupName,
    gid: toHex(device.gid),
    network: formatPrefix(device.network),
    pseudonym: toHex(device.pseudonym),
    longtermKey: toHex(device.longtermKey),
    created: isoTime(device.created),
    lastHandshake: { at: isoTime(handshake.at), from: handshake.from },
    lastTunnel: tunnel === undefined ? null : tunnelView(tunnel),
    agent: agent === undefined ? null : agentView(agent),
  };
}

function tunnelView({ at, from, ended }: NonNullable<Device['tunnel']>): DeviceView['lastTunnel'] {
  return { at: isoTime(at), from, ended: ended === undefined ? null : isoTime(ended) };
}

function agentView({ at, version, failure }: AgentReport): AgentView {
  return {
    version,
    reported: isoTime(at),
    lastFailure: failure === undefined ? null : { code: failure.code, at: isoTime(failure.at) },
  };
}
