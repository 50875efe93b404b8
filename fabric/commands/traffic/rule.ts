import type { Command } from '../../../cli/program.ts';
import { addRule, listRules, moveRule, removeRule, testRules } from '../../operations/traffic/rules.ts';
import type { TestedView } from '../../operations/views/rules.ts';
import { OWNED, withFabric } from '../common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList } from '../common/list.ts';
import { endText, numberOf, oneOf } from './words.ts';

const ruleAdd: Command = {
  name: 'rule add',
  summary: 'Adds a rule to a network: whom its devices reach, or who reaches them.',
  arguments: '<network> <allow|deny> <in|out>',
  options: [
    { name: 'devices', value: 'WHO', help: 'of the network: any, group:NAME or device:NAME', default: 'any' },
    {
      name: 'with',
      value: 'WHOM',
      help: 'the other end: any, network:NAME, group:NAME, device:NAME, host or outside',
      default: 'any',
    },
    { name: 'traffic', value: 'WHAT', help: 'any, icmpv6, tcp, tcp/22, udp/8000-8100', default: 'any' },
    { name: 'place', value: 'N', help: 'its place among the rules, 1 is asked first; last unless given' },
    { name: 'note', value: 'TEXT', help: 'what people should know of it' },
    ...OWNED,
  ],
  examples: [
    'enf-fabric rule add plant deny in --with outside',
    'enf-fabric rule add plant allow in --with network:office --traffic tcp/443',
    'enf-fabric rule add plant deny out --devices group:cameras --traffic tcp/22 --place 1',
  ],
  async run(invocation) {
    const [network, action, direction] = invocation.positionals as [string, string, string];
    const note = invocation.option('note');
    const place = invocation.option('place');
    const input = {
      network,
      action: oneOf('the action', action, ['allow', 'deny'] as const),
      direction: oneOf('the direction', direction, ['in', 'out'] as const),
      devices: invocation.required('devices'),
      with: invocation.required('with'),
      traffic: invocation.required('traffic'),
      ...(place !== undefined && { place: numberOf(place) }),
      ...(note !== undefined && { note }),
    };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(addRule, input));
    invocation.print(
      view,
      () => `Rule ${view.id} is the ${ordinal(view.place)} of ${view.network} (${effect}).`,
    );
    return undefined;
  },
};

const ruleList: Command = {
  name: 'rule list',
  summary:
    'Lists the rules of a network in the order in which they are asked, with what they have decided on.',
  arguments: '<network>',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric rule list plant', 'enf-fabric rule list fd00:8f80:8000:1::/64 --json'],
  async run(invocation) {
    const network = invocation.positionals[0]!;
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listRules,
        {
          header: ['PLACE', 'ID', 'RULE', 'DEVICES', 'WITH', 'TRAFFIC', 'PACKETS', 'BYTES', 'NOTE'],
          cells: (rule) => [
            String(rule.place),
            String(rule.id),
            `${rule.action} ${rule.direction}`,
            endText(rule.devices),
            endText(rule.with),
            rule.traffic,
            rule.counted === null ? '-' : String(rule.counted.packets),
            rule.counted === null ? '-' : String(rule.counted.bytes),
            rule.note ?? '-',
          ],
          things: ['rule', 'rules'],
          none: 'No rules: its devices reach each other, the host and what is outside, and no other network reaches them.',
        },
        { network },
      ),
    );
    return undefined;
  },
};

const ruleMove: Command = {
  name: 'rule move',
  summary: 'Moves a rule to another place among those of its network.',
  arguments: '<id> <place>',
  options: [...OWNED],
  examples: ['enf-fabric rule move 7 1'],
  async run(invocation) {
    const [id, place] = invocation.positionals.map(numberOf) as [number, number];
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(moveRule, { id, place }));
    invocation.print(
      view,
      () =>
        `Rule ${id} ${view.changed ? 'is' : 'was already'} the ${ordinal(view.place)} of ${view.network} (${effect}).`,
    );
    return undefined;
  },
};

const ruleRemove: Command = {
  name: 'rule remove',
  summary: 'Removes a rule.',
  arguments: '<id>',
  options: [...OWNED],
  examples: ['enf-fabric rule remove 7'],
  async run(invocation) {
    const id = numberOf(invocation.positionals[0]!);
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeRule, { id }));
    invocation.print(view, () => `Rule ${id} of ${view.network} is removed (${effect}).`);
    return undefined;
  },
};

const ruleTest: Command = {
  name: 'rule test',
  summary: 'Tells whether a packet may pass, and which rule decides. Ends with 1 if it may not.',
  arguments: '<from> <to> <traffic>',
  options: [...OWNED],
  examples: ['enf-fabric rule test pump-1 pump-2 tcp/22', 'enf-fabric rule test outside pump-1 icmpv6'],
  async run(invocation) {
    const [from, to, traffic] = invocation.positionals as [string, string, string];
    const view = await withFabric(invocation, (fabric) => fabric.read(testRules, { from, to, traffic }));
    invocation.print(view, () => testText(view));
    return view.passes ? undefined : 1;
  },
};

function testText({ from, to, traffic, passes, out, in: into }: TestedView): string {
  const sides = [
    ['out of', out],
    ['into', into],
  ] as const;
  const lines = sides.map(([way, decision]) => {
    if (decision === null) return undefined;
    const { network, allowed, rule } = decision;
    const by = rule === null ? 'no rule fits, so' : `rule ${rule.id}, the ${ordinal(rule.place)}:`;
    return `  ${way} ${network}: ${by} ${allowed ? 'it passes' : 'it does not pass'}`;
  });
  const verdict = `${traffic} from ${from} to ${to} ${passes ? 'passes' : 'does not pass'}.`;
  return [verdict, ...lines.filter((line) => line !== undefined)].join('\n');
}

/** 1st, 2nd, 3rd, 4th, 11th. */
function ordinal(place: number): string {
  const ends = ['th', 'st', 'nd', 'rd'];
  const isTeen = Math.floor(place / 10) % 10 === 1;
  return `${place}${(isTeen ? undefined : ends[place % 10]) ?? 'th'}`;
}

export const ruleCommands: readonly Command[] = [ruleAdd, ruleList, ruleMove, ruleRemove, ruleTest];
