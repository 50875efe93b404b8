import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  decide,
  type End,
  MOST_RULES,
  type Rule,
  type RuleDevices,
  type RuleOther,
  type Traffic,
} from '../../../fabric/registry/rules.ts';
import { encodeRules, groupTable } from '../../../fabric/router/rules.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatPrefix, type Prefix, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { runParts } from '../parts.ts';

const PARTS = ['router/rules/rules', 'router/rules/flows'];
const FOLDERS = ['packet/packet', 'packet/tuple', 'packet/checksum'];

describe("the router's rules and flows", () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`[H-A3] hold what they promise, and are shared out (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('router/rules_parts', [...PARTS, ...FOLDERS], sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});

const NETWORKS = [1, 2, 3].map((number) => parsePrefix(`fd00:${number}::/64`));
const GROUPS = [1, 2, 3, 4, 5, 6].map((number) => new Uint8Array(32).fill(number));
/** The network of a group: two in each. */
const networkOf = (group: number) => NETWORKS[group % 3]!;
const PORTS = [0, 1, 22, 53, 80, 443, 8000, 65_534, 65_535];

/** Numbers that are the same in each run. */
function chooser(seed: number) {
  let state = seed;
  const below = (most: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
  return { below, of: <T>(all: readonly T[]): T => all[below(all.length)]! };
}

type Choose = ReturnType<typeof chooser>;

function device(choose: Choose, group = choose.below(GROUPS.length)): Extract<End, { kind: 'device' }> {
  const network = networkOf(group);
  const address = network.address.slice();
  address.set([group, choose.below(3) + 2], 14);
  return { kind: 'device', address, gid: GROUPS[group]!, network };
}

/** Of the first network's. */
const ownGroup = (choose: Choose): number => choose.of([0, 3]);

const OWN = ['any', 'group', 'device'] as const;

function end(choose: Choose, own: boolean): RuleOther {
  const group = own ? ownGroup(choose) : choose.below(GROUPS.length);
  const kind = choose.of<RuleOther['kind']>(own ? OWN : [...OWN, 'network', 'host', 'outside']);
  switch (kind) {
    case 'group':
      return { kind, gid: GROUPS[group]!, network: networkOf(group) };
    case 'device':
      return { kind, address: device(choose, group).address };
    case 'network':
      return { kind, prefix: choose.of(NETWORKS) };
    default:
      return { kind };
  }
}

function rule(choose: Choose, id: number): Rule {
  const protocol = choose.of(['any', 'tcp', 'udp', 'icmpv6'] as const);
  const [first, last] = [choose.of(PORTS), choose.of(PORTS)].sort((one, other) => one - other);
  const ranged = (protocol === 'tcp' || protocol === 'udp') && choose.below(4) > 0;
  return {
    ...{ id, network: NETWORKS[0]!, place: id, created: 0 },
    action: choose.of(['allow', 'deny'] as const),
    direction: choose.of(['in', 'out'] as const),
    devices: end(choose, true) as RuleDevices,
    other: end(choose, false),
    protocol,
    ...(ranged && { ports: { first: first!, last: last! } }),
  };
}

const ZONES = { own: 0, foreign: 1, host: 2, outside: 3 } as const;
const PROTOCOLS = { tcp: 6, udp: 17, icmpv6: 58, other: 132 } as const;

const SETS = [1, 5, 63, 64, 65, 200, MOST_RULES];
const QUESTIONS = 3_000;

describe('the rule that decides', () => {
  it('is the first that fits, as the fabric itself says', async () => {
    const asked = SETS.map(questions);
    const told = await answers(asked.flatMap(({ lines }) => lines));
    for (const [i, { expected }] of asked.entries()) {
      expect(told.slice(i * QUESTIONS, (i + 1) * QUESTIONS), `${SETS[i]} rules`).toEqual(expected);
      expect(new Set(expected).size).toBeGreaterThan(1);
    }
  });

  it('of a packet that hides what it is lets it pass only if it lets everything pass', async () => {
    const base = { id: 1, network: NETWORKS[0]!, place: 1, created: 0, direction: 'in' as const };
    const all = { devices: { kind: 'any' as const }, other: { kind: 'any' as const } };
    const lines = (change: Pick<Rule, 'action' | 'protocol' | 'ports'>): string[] => {
      const rules = [{ ...base, ...all, ...change }];
      const bytes = encodeRules(rules, NETWORKS[0]!, { numberOf: () => 1 }, groupTable());
      const address = toHex(parseIpv6('fd00:1::5'));
      return [`=${toHex(bytes)}`, `0 ${address} 1 ${address} 0 1 0 6 22 1`];
    };
    const told = await answers([
      ...lines({ action: 'allow', protocol: 'any' }),
      ...lines({ action: 'allow', protocol: 'tcp' }),
      ...lines({ action: 'deny', protocol: 'tcp', ports: { first: 22, last: 22 } }),
    ]);
    expect(told).toEqual([0, -1, 0]);
  });
});

/** So many rules and questions as lines for the program, and what the fabric itself says: the place of the rule, -1: none. */
function questions(count: number): { readonly lines: string[]; readonly expected: number[] } {
  const choose = chooser(count);
  const rules = Array.from({ length: count }, (_, i) => rule(choose, i + 1));
  const groups = groupTable();
  const networks = {
    numberOf: (prefix: Prefix) =>
      NETWORKS.findIndex((each) => formatPrefix(each) === formatPrefix(prefix)) + 1,
  };
  const lines = [`=${toHex(encodeRules(rules, NETWORKS[0]!, networks, groups))}`];
  const expected: number[] = [];
  for (let i = 0; i < QUESTIONS; i++) {
    const direction = choose.of(['in', 'out'] as const);
    const self = device(choose, ownGroup(choose));
    const other = choose.of<() => End>([
      () => device(choose),
      () => device(choose),
      () => ({ kind: 'host' }),
      () => ({ kind: 'outside' }),
    ])();
    const traffic: Traffic = {
      protocol: choose.of(['tcp', 'udp', 'icmpv6', 'other'] as const),
      port: choose.of([...PORTS, 23, 8_001]),
    };
    expected.push((decide(rules, direction, self, other, traffic).rule?.id ?? 0) - 1);
    const asDevice = other.kind === 'device' ? other : undefined;
    const isOwn = asDevice !== undefined && formatPrefix(asDevice.network) === formatPrefix(NETWORKS[0]!);
    const zone = other.kind === 'device' ? (isOwn ? 'own' : 'foreign') : other.kind;
    const words = [
      direction === 'out' ? 1 : 0,
      toHex(self.address),
      groups.numberOf(self.gid),
      toHex(asDevice?.address ?? parseIpv6('2001:db8::1')),
      asDevice === undefined ? 0 : groups.numberOf(asDevice.gid),
      asDevice === undefined ? 0 : networks.numberOf(asDevice.network),
      ZONES[zone],
      PROTOCOLS[traffic.protocol],
      traffic.port,
      0,
    ];
    lines.push(words.join(' '));
  }
  return { lines, expected };
}

/** What the router's own code says about these questions, under the sanitizers. */
async function answers(lines: readonly string[]): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-rules-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'questions');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const parts = [...PARTS, ...FOLDERS];
  const { code, stdout, stderr } = await runParts(
    'router/rules_parts',
    parts,
    'address,undefined',
    [],
    [file],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trim().split('\n').map(Number);
}
