import { describeOptions, type Option, readArguments } from '../arguments.ts';

export interface Options {
  readonly help: boolean;
  readonly minutes: number;
  /** Seconds from one disturbance to the next. */
  readonly every: number;
  readonly mbit: number;
  readonly json: string | undefined;
}

const OPTIONS: readonly Option[] = [
  { name: 'minutes', value: 'N', help: 'how long (default 120)' },
  { name: 'every', value: 'SECONDS', help: 'from one disturbance to the next (default 240)' },
  { name: 'mbit', value: 'N', help: 'steady traffic up the tunnel in Mbit/s (default 5)' },
  { name: 'json', value: 'FILE', help: 'write everything there: looks, disturbances, verdict' },
  { name: 'help', help: 'this' },
];

export const HELP = `npm run soak -- [options]

One agent with a software TPM and one fabric, as root, in network namespaces of their own, for hours: steady traffic, pings
and short bursts through the tunnel, and every few minutes something that cuts it. Each minute a line with the memory of both.
At the end the slope of each one's resident memory over the last four fifths, in MB (10^6 bytes) per hour.

Exit code 0: flat (below 0.5 MB/h) and back after every disturbance; 1: not so, or it could not be measured.

${describeOptions(OPTIONS)}

Examples:
  npm run soak
  npm run soak -- --minutes 10 --every 60 --json soak.json
`;

/** @throws Failure `bench.bad-option` */
export function readOptions(argv: readonly string[]): Options {
  const given = readArguments(OPTIONS, argv);
  return {
    help: given.flag('help'),
    minutes: given.whole('minutes', 2, 100_000, 120),
    every: given.whole('every', 45, 86_400, 240),
    mbit: given.whole('mbit', 1, 1_000, 5),
    json: given.value('json'),
  };
}
