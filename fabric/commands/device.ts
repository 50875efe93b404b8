import type { Command } from '../../cli/program.ts';
import { table, timeText } from '../../cli/table.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, formatPrefix, parseIpv6 } from '../../protocol/ipv6.ts';
import type { AgentReport, Device, Handshake } from '../registry/records.ts';
import { standingOf } from '../registry/registry.ts';
import type { AuditEntry } from '../registry/sqlite/audit.ts';
import type { Verdict } from '../registry/sqlite/devices.ts';
import { shortGid } from '../registry/sqlite/groups.ts';
import { connectedAddresses, DATA, nudge, withRegistry } from './context.ts';

const HISTORY = 20;

const iso = (at: number): string => new Date(at).toISOString();

/** `undefined` for online: no fabric is serving, so nobody knows. */
function json(device: Device, online: boolean | undefined): Record<string, unknown> {
  const { handshake, tunnel, agent } = device;
  return {
    address: formatIpv6(device.address),
    standing: standingOf(device),
    online: online ?? null,
    group: device.groupName,
    gid: toHex(device.gid),
    network: formatPrefix(device.network),
    pseudonym: toHex(device.pseudonym),
    longtermKey: toHex(device.longtermKey),
    created: iso(device.created),
    lastHandshake: { at: iso(handshake.at), from: handshake.from },
    lastTunnel: tunnel === undefined ? null : tunnelJson(tunnel),
    agent: agent === undefined ? null : agentJson(agent),
  };
}

function tunnelJson({ at, from, ended }: NonNullable<Device['tunnel']>): Record<string, unknown> {
  return { at: iso(at), from, ended: ended === undefined ? null : iso(ended) };
}

function agentJson({ at, version, failure }: AgentReport): Record<string, unknown> {
  return {
    version,
    reported: iso(at),
    lastFailure: failure === undefined ? null : { code: failure.code, at: iso(failure.at) },
  };
}

const onlineText = (online: boolean | undefined): string =>
  online === undefined ? 'unknown' : online ? 'online' : 'offline';

const deviceList: Command = {
  name: 'device list',
  summary: 'Lists the devices: standing, online, last seen, version, last failure.',
  options: [DATA],
  examples: ['enf-fabric device list', 'enf-fabric device list --json'],
  async run(invocation) {
    const devices = await withRegistry(invocation, (registry) => registry.devices());
    const connected = await connectedAddresses(invocation);
    const online = (device: Device): boolean | undefined => connected?.has(formatIpv6(device.address));
    invocation.print(
      devices.map((device) => json(device, online(device))),
      () =>
        table(
          [
            'ADDRESS',
            'STANDING',
            'TUNNEL',
            'GROUP',
            'LAST HANDSHAKE',
            'LAST TUNNEL',
            'AGENT',
            'LAST FAILURE',
          ],
          devices.map((each) => [
            formatIpv6(each.address),
            standingOf(each),
            onlineText(online(each)),
            each.groupName,
            timeText(each.handshake.at),
            each.tunnel === undefined ? 'never' : timeText(each.tunnel.at),
            each.agent?.version ?? '-',
            each.agent?.failure === undefined ? '-' : failureText(each.agent.failure),
          ]),
          'No devices yet.',
        ),
    );
    return undefined;
  },
};

const deviceShow: Command = {
  name: 'device show',
  summary: 'Shows a device: standing, keys, and its handshakes: when, from where, with what result.',
  arguments: '<address>',
  options: [DATA],
  examples: ['enf-fabric device show fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2'],
  async run(invocation) {
    const address = parseIpv6(invocation.positionals[0]!);
    const { device, handshakes, twins } = await withRegistry(invocation, (registry) => {
      const found = registry.device(address);
      return {
        device: found,
        handshakes: registry.handshakes(HISTORY, found),
        twins: registry.twinsOf(address),
      };
    });
    const online = (await connectedAddresses(invocation))?.has(formatIpv6(address));
    const value = {
      ...json(device, online),
      twins: twins === undefined ? null : { at: iso(twins.at), from: twins.detail.from },
      handshakes: handshakes.map(({ at, source, suite, proven, result }) => ({
        at: iso(at),
        source,
        suite: suite ?? null,
        proven,
        result,
      })),
    };
    invocation.print(value, () => deviceText(device, online, handshakes, twins));
    return undefined;
  },
};

function deviceText(
  device: Device,
  online: boolean | undefined,
  handshakes: readonly Handshake[],
  twins: AuditEntry | undefined,
): string {
  const { tunnel, agent } = device;
  const tunnelText =
    tunnel === undefined
      ? 'never up'
      : `${onlineText(online)}, up ${timeText(tunnel.at)} from ${tunnel.from}` +
        (tunnel.ended === undefined ? '' : `, ended ${timeText(tunnel.ended)}`);
  const history = table(
    ['WHEN', 'FROM', 'SUITE', 'RESULT'],
    handshakes.map((each) => [
      timeText(each.at),
      each.source,
      String(each.suite ?? '?'),
      each.proven ? each.result : `${each.result} (claimed, not proven)`,
    ]),
    'none',
  );
  return [
    `Address   ${formatIpv6(device.address)}`,
    `Standing  ${standingOf(device)}`,
    `Tunnel    ${tunnelText}`,
    `Agent     ${agent === undefined ? 'has told nothing of itself' : agentText(agent)}`,
    ...(twins === undefined ? [] : [`Twins     ${twinsText(twins)}`]),
    `Group     ${device.groupName}  ${shortGid(device.gid)}`,
    `Network   ${formatPrefix(device.network)}`,
    `Key       ${toHex(device.longtermKey)}`,
    `Admitted  ${timeText(device.created)}`,
    '',
    `The last handshakes, newest first:`,
    history,
  ].join('\n');
}

const failureText = ({ code, at }: NonNullable<AgentReport['failure']>): string => `${code} ${timeText(at)}`;

const agentText = ({ at, version, failure }: AgentReport): string =>
  `version ${version}, told ${timeText(at)}; last failure: ${failure === undefined ? 'none told' : failureText(failure)}`;

const twinsText = ({ at, detail }: AuditEntry): string =>
  `two devices with this key took turns ${timeText(at)}, from ${(detail.from as string[]).join(' and ')}; evicted, only one that has the credential comes back`;

const DONE: Record<Verdict, string> = {
  evict: 'is evicted: it is cut now and has to provision again',
  ban: 'is banned: it is cut now and may not come back until unbanned',
  unban: 'is no longer banned',
};

const WAS: Record<Verdict, string> = {
  evict: 'was evicted already',
  ban: 'was banned already',
  unban: 'was not banned',
};

function verdictCommand(verdict: Verdict, summary: string): Command {
  return {
    name: `device ${verdict}`,
    summary,
    arguments: '<address>',
    options: [DATA],
    examples: [`enf-fabric device ${verdict} fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2`],
    async run(invocation) {
      const address = parseIpv6(invocation.positionals[0]!);
      const { device, changed } = await withRegistry(invocation, (registry) => {
        const done = registry.judge(address, verdict);
        return { device: registry.device(address), changed: done };
      });
      const effect = await nudge(invocation);
      const name = formatIpv6(address);
      invocation.print({ address: name, standing: standingOf(device), changed }, () =>
        changed ? `${name} ${DONE[verdict]} (${effect}).` : `${name} ${WAS[verdict]}.`,
      );
      return undefined;
    },
  };
}

export const deviceCommands: readonly Command[] = [
  deviceList,
  deviceShow,
  verdictCommand('evict', 'Cuts a device; it has to provision again and then keeps its address.'),
  verdictCommand('ban', 'Cuts a device and refuses it until it is unbanned.'),
  verdictCommand('unban', 'Lets a banned device in again.'),
];
