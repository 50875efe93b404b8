import { toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { hostAddress } from '../../registry/address.ts';
import { eachRow, parseNumberCursor } from '../../registry/pages.ts';
import type { OwnedReader } from '../../registry/registry.ts';
import {
  type Decision,
  decide,
  type End,
  type NewRule,
  RULE_PROTOCOLS,
  type Rule,
  type RuleAction,
  type RuleDevices,
  type RuleDirection,
  type RuleOther,
  type RuleProtocol,
} from '../../registry/rules.ts';
import { badInput, oneOf, optional, text, whole } from '../contract/input.ts';
import { addressOf, DEVICE, devicesOf, END, endOf } from '../contract/naming.ts';
import { type Changed, filteredList, isoTime, operation, type ReadContext } from '../contract/operation.ts';
import type { MovedRuleView, RuleRow, RuleView, TestedView } from '../views/rules.ts';

const TRAFFIC = text(20);
const RULE_ID = whole(1, Number.MAX_SAFE_INTEGER);
const PLACE = whole(1, 1_000);
const LONGEST_NOTE = 200;

interface RuleInput {
  readonly network: string;
  readonly action: RuleAction;
  readonly direction: RuleDirection;
  /** `any`, `group:…` or `device:…`: any unless given. */
  readonly devices?: string | undefined;
  /** The same, or `network:…`, `host` or `outside`. */
  readonly with?: string | undefined;
  /** `any`, `icmpv6`, `tcp`, `tcp/22`, `udp/8000-8100`. */
  readonly traffic?: string | undefined;
  readonly place?: number | undefined;
  readonly note?: string | undefined;
}

/**
 * Adds a rule to a network, last unless it gets a place.
 * @throws Failure `fabric.bad-input`, `fabric.bad-rule`, `fabric.too-many-rules`, and those of what it names
 */
export const addRule = operation<RuleInput, Changed<RuleView>>(
  'rule-add',
  {
    network: text(64),
    action: oneOf('allow', 'deny'),
    direction: oneOf('in', 'out'),
    devices: optional(END),
    with: optional(END),
    traffic: optional(TRAFFIC),
    place: optional(PLACE),
    note: optional(text(LONGEST_NOTE)),
  },
  async ({ registry, running, actor }, input) => {
    const network = await registry.network(input.network);
    const devices = await devicesOf(registry, 'devices', input.devices ?? 'any');
    const note = input.note?.normalize('NFC');
    const rule: NewRule = {
      ...{ action: input.action, direction: input.direction, devices },
      other: await endOf(registry, 'with', input.with ?? 'any'),
      ...trafficOf(input.traffic ?? 'any'),
      ...(note !== undefined && note !== '' && { note }),
    };
    const added = await registry.addRule(actor, network, rule, input.place);
    return { view: ruleView(added), effect: await running.notify() };
  },
);

/** A page of the rules of a network, in the order in which they are asked. @throws Failure `fabric.unknown-network`, `fabric.bad-cursor` */
export const listRules = filteredList<Rule, RuleRow, { network: string }>(
  'rule-list',
  { network: text(64) },
  async (registry, page, { network }) => {
    parseNumberCursor('rules', page.after);
    return registry.rules(await registry.network(network), page);
  },
  async ({ running }, rows) => {
    const counts = rows.length === 0 ? undefined : await running.ruleCounts?.(rows[0]!.network);
    return (rule) => ({
      ...ruleView(rule),
      counted: counts === undefined ? null : (counts.get(rule.id) ?? { packets: 0, bytes: 0 }),
    });
  },
);

/** Moves a rule to a place; the others keep their order. @throws Failure `fabric.unknown-rule` */
export const moveRule = operation<{ id: number; place: number }, Changed<MovedRuleView>>(
  'rule-move',
  { id: RULE_ID, place: PLACE },
  async ({ registry, running, actor }, { id, place }) => {
    const { rule, changed } = await registry.moveRule(actor, id, place);
    return { view: { ...ruleView(rule), changed }, effect: await running.notify() };
  },
);

/** @throws Failure `fabric.unknown-rule` */
export const removeRule = operation<{ id: number }, Changed<RuleView>>(
  'rule-remove',
  { id: RULE_ID },
  async ({ registry, running, actor }, { id }) => {
    const removed = await registry.removeRule(actor, id);
    return { view: ruleView(removed), effect: await running.notify() };
  },
);

/**
 * Tells which rules decide on the first packet of a flow: of the network that it leaves, and of the one that it comes to.
 * @throws Failure `fabric.bad-input`, `fabric.unknown-device`, `ipv6.bad-address`
 */
export const testRules = operation<{ from: string; to: string; traffic: string }, TestedView, ReadContext>(
  'rule-test',
  { from: DEVICE, to: DEVICE, traffic: TRAFFIC },
  async ({ registry }, input) => {
    const { protocol, ports } = trafficOf(input.traffic);
    if (
      protocol === 'any' ||
      (protocol !== 'icmpv6' && ports?.first !== ports?.last) ||
      (protocol !== 'icmpv6' && !ports)
    )
      throw badInput('traffic', 'has to be one kind of packet, such as tcp/22, udp/53 or icmpv6');
    const [from, to] = [await partyOf(registry, input.from), await partyOf(registry, input.to)];
    if (from.kind !== 'device' && to.kind !== 'device') throw badInput('from', 'or to has to be a device');
    const traffic = { protocol, port: ports?.first ?? 0 };
    const ask = async (direction: RuleDirection, device: End, other: End) => {
      if (device.kind !== 'device') return null;
      const rules: Rule[] = [];
      for await (const rule of eachRow((page) => registry.rules(device.network, page))) rules.push(rule);
      return decisionView(decide(rules, direction, device, other, traffic), device.network);
    };
    const [out, into] = [await ask('out', from, to), await ask('in', to, from)];
    const passes = (out?.allowed ?? true) && (into?.allowed ?? true);
    return { from: partyText(from), to: partyText(to), traffic: input.traffic, passes, out, in: into };
  },
);

const TRAFFIC_FORM = /^([a-z0-9]+)(?:\/(\d{1,5})(?:-(\d{1,5}))?)?$/;
const MOST_PORT = 65_535;

/** @throws Failure `fabric.bad-input` */
function trafficOf(given: string): Pick<NewRule, 'protocol' | 'ports'> {
  const [, protocol, one, last = one] = TRAFFIC_FORM.exec(given) ?? [];
  const ports = one === undefined ? undefined : { first: Number(one), last: Number(last) };
  const fits =
    (RULE_PROTOCOLS as readonly string[]).includes(protocol ?? '') &&
    (ports === undefined ||
      ((protocol === 'tcp' || protocol === 'udp') && ports.first <= ports.last && ports.last <= MOST_PORT));
  if (!fits)
    throw badInput(
      'traffic',
      'has to be any, icmpv6, tcp, udp, or with a port such as tcp/22 or udp/8000-8100',
    );
  return { protocol: protocol as RuleProtocol, ...(ports !== undefined && { ports }) };
}

function trafficText({ protocol, ports }: Pick<NewRule, 'protocol' | 'ports'>): string {
  if (ports === undefined) return protocol;
  const { first, last } = ports;
  return first === last ? `${protocol}/${first}` : `${protocol}/${first}-${last}`;
}

/** An end of a packet: what is in no network that the caller sees is outside. */
async function partyOf(registry: OwnedReader, given: string): Promise<End> {
  if (given === 'host' || given === 'outside') return { kind: given };
  const named = await addressOf(registry, given);
  // What is behind a device is that device.
  const address = (await registry.deviceBehind(named)) ?? named;
  const prefix = networkAround(address);
  if (given.includes(':') && !(await isKnown(registry, prefix))) return { kind: 'outside' };
  if (toHex(hostAddress(prefix.address)) === toHex(address)) return { kind: 'host' };
  const { gid, network } = await registry.device(address);
  return { kind: 'device', address, gid, network };
}

function networkAround(address: Uint8Array): Prefix {
  const prefix = new Uint8Array(16);
  prefix.set(address.subarray(0, 8));
  return { address: prefix, length: 64 };
}

async function isKnown(registry: OwnedReader, prefix: Prefix): Promise<boolean> {
  try {
    await registry.network(formatPrefix(prefix));
    return true;
  } catch (error) {
    if (isFailure(error, 'fabric.unknown-network') || isFailure(error, 'fabric.bad-network')) return false;
    throw error;
  }
}

const partyText = (end: End): string => (end.kind === 'device' ? formatIpv6(end.address) : end.kind);

const decisionView = ({ allowed, rule }: Decision, network: Prefix) => ({
  network: formatPrefix(network),
  allowed,
  rule: rule === undefined ? null : ruleView(rule),
});

type EndView = RuleView['devices'];

function endView(end: RuleDevices | RuleOther): EndView {
  switch (end.kind) {
    case 'group':
      return { names: `group:${toHex(end.gid)}`, called: end.name ?? null };
    case 'device':
      return { names: `device:${formatIpv6(end.address)}`, called: end.name ?? null };
    case 'network':
      return { names: `network:${formatPrefix(end.prefix)}`, called: end.name ?? null };
    default:
      return { names: end.kind, called: null };
  }
}

const ruleView = (rule: Rule): RuleView => ({
  id: rule.id,
  network: formatPrefix(rule.network),
  place: rule.place,
  action: rule.action,
  direction: rule.direction,
  devices: endView(rule.devices),
  with: endView(rule.other),
  traffic: trafficText(rule),
  note: rule.note ?? null,
  created: isoTime(rule.created),
});
