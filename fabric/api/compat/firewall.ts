import { Failure, isFailure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, matches, parsePrefix } from '../../../protocol/ipv6.ts';
import type { NetworkView } from '../../operations/views/groups.ts';
import type { RuleView } from '../../operations/views/rules.ts';
import { allOf, type Call, unsupported } from './call.ts';
import { networkOf } from './networks.ts';
import {
  addressPrefix,
  isEverything,
  notedPriority,
  nothing,
  priorityNote,
  ruleNumber,
  ruleUuid,
  textOf,
} from './quirks.ts';

/*
 * Rules of the original say nothing of flows: each direction of one needs its own. Here answers pass by themselves, and a rule is for whoever begins;
 * what would let more pass, or less, than a rule says is refused.
 */

interface RuleBody {
  readonly priority: number;
  readonly action: 'ACCEPT' | 'DROP';
  readonly direction: 'INGRESS' | 'EGRESS';
  readonly protocol: string;
  readonly source_ip?: string;
  readonly source_port?: number;
  readonly dest_ip?: string;
  readonly dest_port?: number;
}

const rulesOf = (call: Call, network: string): Promise<readonly RuleView[]> =>
  allOf((page) => call.run('rule-list', { ...page, network }));

export async function listRules(call: Call) {
  const network = await networkOf(call);
  return (await rulesOf(call, network.prefix)).map((rule) => ruleBody(rule, network));
}

export async function createRule(call: Call) {
  const network = await networkOf(call);
  const rule = call.body as unknown as RuleBody;
  const isOut = rule.direction === 'EGRESS';
  const [from, to] = [textOf(rule.source_ip), textOf(rule.dest_ip)];
  const [own, other] = isOut ? [from, to] : [to, from];
  const place = placeOf(await rulesOf(call, network.prefix), rule.priority);
  const input = {
    network: network.prefix,
    action: rule.action === 'ACCEPT' ? ('allow' as const) : ('deny' as const),
    direction: isOut ? ('out' as const) : ('in' as const),
    devices: ownEnd(own, network),
    with: otherEnd(other, network),
    traffic: trafficOf(rule),
    note: priorityNote(rule.priority),
    ...(place !== undefined && { place }),
  };
  try {
    const { view } = await call.run('rule-add', input);
    return ruleBody(view, network);
  } catch (error) {
    if (isFailure(error, 'fabric.unknown-device') || isFailure(error, 'fabric.unknown-network'))
      throw noSuchEnd([own, other].filter((end) => end !== undefined).join(' and '));
    throw error;
  }
}

/** @throws Failure `fabric.unknown-rule` */
export async function deleteRule(call: Call) {
  const network = await networkOf(call);
  const id = ruleNumber(call.params.id!);
  const rules = await rulesOf(call, network.prefix);
  if (id === undefined || !rules.some((rule) => rule.id === id)) {
    throw new Failure('fabric.unknown-rule', 'operator', `the network ${network.prefix} has no such rule`, {
      action: 'List its rules.',
    });
  }
  await call.run('rule-remove', { id });
  return nothing();
}

/** Rules with a smaller number come first, those with the same one in the order in which they came; undefined: last. */
const placeOf = (rules: readonly RuleView[], priority: number): number | undefined =>
  rules.find(({ note }) => (notedPriority(note) ?? priority) > priority)?.place;

/** The end in the network whose rule it is. */
function ownEnd(given: string | undefined, { prefix }: NetworkView): string {
  if (given === undefined) return 'any';
  const end = parsePrefix(given);
  if (formatPrefix(end) === prefix) return 'any';
  if (end.length === 128 && matches(parsePrefix(prefix), end.address))
    return `device:${formatIpv6(end.address)}`;
  throw noSuchEnd(given);
}

function otherEnd(given: string | undefined, { host }: NetworkView): string {
  if (given === undefined) return 'any';
  const end = parsePrefix(given);
  if (isEverything(end)) return 'any';
  if (end.length === 64) return `network:${formatPrefix(end)}`;
  if (end.length !== 128) throw noSuchEnd(given);
  const address = formatIpv6(end.address);
  return address === host ? 'host' : `device:${address}`;
}

const noSuchEnd = (given: string): Failure =>
  unsupported(
    `a rule cannot be for ${given}: no device and no network here is so, or not at this end`,
    'Name a network, or a device by its address; for what is outside use "enf-fabric rule add --with outside".',
  );

const PROTOCOLS: Readonly<Record<string, string>> = { TCP: 'tcp', UDP: 'udp' };

/** The port that is connected to. @throws Failure `compat.unsupported` */
function trafficOf({ protocol, source_port = 0, dest_port = 0 }: RuleBody): string {
  if (source_port !== 0) {
    throw unsupported(
      'a rule cannot be for a source port: what belongs to a flow that was let pass, passes by itself',
      'Leave the rule for the answers out.',
    );
  }
  const name = Object.hasOwn(PROTOCOLS, protocol) ? PROTOCOLS[protocol]! : undefined;
  if (name === undefined)
    throw unsupported(`a rule cannot be for the protocol ${protocol.slice(0, 20)}`, 'Use TCP or UDP.');
  return dest_port === 0 ? name : `${name}/${dest_port}`;
}

/** As the clients read it. What the format has no word for, such as a group, stands there in the fabric's words. */
function ruleBody(rule: RuleView, { prefix, host }: NetworkView) {
  const own = rule.devices.names === 'any' ? prefix : endText(rule.devices.names, host);
  const other = rule.with.names === 'any' ? null : endText(rule.with.names, host);
  const [source_ip, dest_ip] = rule.direction === 'out' ? [own, other] : [other, own];
  const [, protocol = 'any', port] = /^([a-z0-9]+)(?:\/(\d+))?$/.exec(rule.traffic) ?? [];
  return {
    id: ruleUuid(rule.id),
    network: prefix,
    priority: notedPriority(rule.note) ?? rule.place,
    action: rule.action === 'allow' ? 'ACCEPT' : 'DROP',
    direction: rule.direction === 'out' ? 'EGRESS' : 'INGRESS',
    ip_family: 'IP6',
    protocol: (rule.traffic.includes('-') ? rule.traffic : protocol).toUpperCase(),
    source_ip,
    source_port: 0,
    dest_ip,
    dest_port: port === undefined ? 0 : Number(port),
  };
}

function endText(names: string, host: string): string {
  if (names === 'host') return addressPrefix(host);
  const [, kind, rest] = /^(device|network):(.*)$/.exec(names) ?? [];
  return kind === 'device' ? addressPrefix(rest!) : (rest ?? names);
}
