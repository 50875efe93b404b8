import {
  CHANGED,
  count,
  named,
  number,
  orNull,
  prefix,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';

const END = {
  names: words(
    'As `rule-add` takes it, with an id, an address or a prefix for what it names.',
    'group:9f2a…',
  ),
  called: orNull(words('The present name of that; null: it has none.', 'batch 7')),
};

/** One rule of a network: who reaches whom. */
export const RuleView = named('Rule', 'A rule of a network: who reaches whom.', {
  id: number('Its number, which no other rule ever has.'),
  network: prefix('The network whose rule it is.'),
  place: number('From 1 on, in the order in which the rules are asked; the first one that fits decides.'),
  action: wordOf(['allow', 'deny'], 'What becomes of a packet that fits.'),
  direction: wordOf(['in', 'out'], 'As the device sees it.'),
  devices: shown(END, 'The devices of the network that it is for.'),
  with: shown(END, 'The other end.'),
  traffic: words('Protocol and ports that it is for.', 'tcp/22'),
  note: orNull(words('What somebody has noted of it.')),
  created: time('When it was added.'),
});
export type RuleView = Shown<typeof RuleView>;

/** A rule with what it has decided on. */
export const RuleRow = named('RuleRow', 'A rule with what it has decided on.', {
  ...RuleView.properties,
  counted: orNull(
    shown(
      { packets: count('Packets that it has decided on.'), bytes: count('Bytes of them.') },
      'Since the fabric was started, what belongs to a flow included; null: no fabric serves.',
    ),
  ),
});
export type RuleRow = Shown<typeof RuleRow>;

export const MovedRuleView = shown({ ...RuleView.properties, changed: CHANGED });
export type MovedRuleView = Shown<typeof MovedRuleView>;

/** What the rules of one network say about a packet. */
const DecisionView = shown({
  network: prefix('The network whose rules were asked.'),
  allowed: whether('May the packet pass?'),
  rule: orNull(RuleView),
});

export const TestedView = named('TestedRules', 'What rules say about the first packet of a flow.', {
  from: words('Where it comes from: an address of a device, `host` or `outside`.', 'fd00:8f80:8000:1::17'),
  to: words('Where it goes, likewise.', 'outside'),
  traffic: words('What it is.', 'tcp/22'),
  passes: whether('Does it get there, as far as rules decide that?'),
  out: orNull(DecisionView),
  in: orNull(DecisionView),
});
export type TestedView = Shown<typeof TestedView>;
