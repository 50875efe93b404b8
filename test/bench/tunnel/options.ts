import { badOption, describeOptions, type Option, readArguments } from '../arguments.ts';
import { CONTRACT } from './own.ts';

export interface Options {
  readonly help: boolean;
  readonly quick: boolean;
  readonly install: boolean;
  readonly relayed: boolean;
  readonly busy: boolean;
  readonly rounds: number;
  /** Names to measure; undefined: all that are there. */
  readonly only: readonly string[] | undefined;
  readonly json: string | undefined;
  readonly own: readonly { readonly name: string; readonly command: string }[];
  readonly congestion: string | undefined;
}

/** All rows, in the table's order; with --relayed two more, with --busy another two. */
export const NAMES = [
  'ours-super',
  'ours-legacy',
  'openvpn',
  'nebula',
  'wireguard-go',
  'tls-bulk',
  'veth',
] as const;
const RELAYED = ['ours-super-relayed', 'ours-legacy-relayed'] as const;
/** The same load in the tunnel's programs and in others beside them. */
export const BUSY = ['ours-super-busy', 'ours-super-beside'] as const;

const OPTIONS: readonly Option[] = [
  {
    name: 'rounds',
    value: 'N',
    help: 'how often each is measured on each path, on the bare one twice as often; medians are printed (default 3)',
  },
  { name: 'quick', help: 'one short round: a look, not a result' },
  { name: 'only', value: 'A,B', help: `measure only these: ${NAMES.join(', ')} or one of your own` },
  { name: 'install', help: 'first install the Debian packages of the tunnels to compare with' },
  {
    name: 'tunnel',
    value: 'NAME=COMMAND',
    help: 'measure a tunnel of your own too; may be repeated',
    many: true,
  },
  { name: 'relayed', help: 'measure ours also from device to device through the router: two more rows' },
  {
    name: 'busy',
    help: 'measure ours also while JavaScript computes for 20 of every 50 ms in both ends, and beside them: two more rows',
  },
  {
    name: 'congestion',
    value: 'NAME',
    help: 'congestion control of the flows inside (default cubic, on the lossy path bbr)',
  },
  { name: 'json', value: 'FILE', help: 'write the medians there: an array, one object per row' },
  { name: 'help', help: 'this' },
];

export const HELP = `npm run bench:tunnel -- [options]

Measures our tunnel beside others, as root, in network namespaces of its own: throughput, CPU per GB, small packets,
latency idle and under load, on a fast, a slow and a lossy path; one interleaved run, medians, ratios at the end.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:tunnel -- --install --json result.json
  npm run bench:tunnel -- --quick --only ours-legacy,openvpn
  npm run bench:tunnel -- --tunnel 'mine=/root/mytunnel.sh' --only mine,ours-legacy,veth

${CONTRACT}
`;

/** @throws Failure `bench.bad-option` */
export function readOptions(argv: readonly string[]): Options {
  const given = readArguments(OPTIONS, argv);
  const own = given.values('tunnel').map(readOwn);
  const names = own.map((each) => each.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw badOption(`--tunnel: two tunnels named ${twice}`, 'Give each its own name.');
  const quick = given.flag('quick');
  return {
    help: given.flag('help'),
    quick,
    install: given.flag('install'),
    relayed: given.flag('relayed'),
    busy: given.flag('busy'),
    rounds: given.whole('rounds', 1, 100, quick ? 1 : 3),
    only: readOnly(given.value('only'), [
      ...NAMES,
      ...(given.flag('relayed') ? RELAYED : []),
      ...(given.flag('busy') ? BUSY : []),
      ...names,
    ]),
    json: given.value('json'),
    own,
    congestion: given.value('congestion'),
  };
}

function readOwn(text: string): { name: string; command: string } {
  const match = /^([a-z][a-z0-9-]{0,19})=(.*\S.*)$/s.exec(text);
  if (!match || [...NAMES, ...RELAYED, ...BUSY].some((name) => name === match[1])) {
    throw badOption(
      `--tunnel: expected NAME=COMMAND with a new name of lower-case letters and digits, got ${JSON.stringify(text)}`,
      "Write it as --tunnel 'mine=/root/mytunnel.sh'.",
    );
  }
  return { name: match[1]!, command: match[2]! };
}

function readOnly(text: string | undefined, known: readonly string[]): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw badOption(
      `--only: ${JSON.stringify(unknown)} is not one of ${known.join(', ')}`,
      'Separate names by commas.',
    );
  }
  return names;
}
