import type { SocketEvent } from './sockets.ts';

/** What a run at the sockets has done, for its screen. Times are in milliseconds. */
export interface RunState {
  readonly started: number;
  readonly target: number | undefined;
  readonly passed: number;
  readonly again: number;
  readonly failed: Readonly<Record<string, number>>;
  /** What each socket does. */
  readonly sockets: Readonly<Record<number, string>>;
  /** The last ten chips, newest first. */
  readonly last: readonly string[];
  readonly banner: { readonly socket: number; readonly pass: boolean; readonly text: string } | undefined;
}

const MOST_LAST = 10;

export const newRun = (started: number, target: number | undefined): RunState => ({
  started,
  target,
  passed: 0,
  again: 0,
  failed: {},
  sockets: {},
  last: [],
  banner: undefined,
});

export function advance(state: RunState, event: SocketEvent): RunState {
  const { socket } = event;
  const at = (text: string): RunState => ({ ...state, sockets: { ...state.sockets, [socket]: text } });
  switch (event.event) {
    case 'waiting':
      return at('waits for a chip');
    case 'chip':
      return at('a chip');
    case 'step':
      return at(event.step);
    case 'problem':
      return at(`${event.message} [${event.code}]`);
    case 'pass':
      return {
        ...at('PASS, take it out'),
        passed: state.passed + (event.again ? 0 : 1),
        again: state.again + (event.again ? 1 : 0),
        last: noted(state, eventLine(event)!),
        banner: { socket, pass: true, text: event.serial ?? event.member.slice(0, 16) },
      };
    case 'fail':
      return {
        ...at('FAIL, take it out'),
        failed: { ...state.failed, [event.code]: (state.failed[event.code] ?? 0) + 1 },
        last: noted(state, eventLine(event)!),
        banner: { socket, pass: false, text: event.message },
      };
  }
}

const noted = ({ last }: RunState, line: string): string[] => [line, ...last].slice(0, MOST_LAST);

/** An event as a line, where there is no screen; undefined for what only a screen shows. */
export function eventLine(event: SocketEvent): string | undefined {
  const where = `socket ${event.socket}`;
  switch (event.event) {
    case 'pass':
      return `PASS  ${where}  ${event.serial === undefined ? '' : `${event.serial}  `}${event.member.slice(0, 16)}${event.again ? '  (was in the batch)' : ''}`;
    case 'fail':
      return `FAIL  ${where}  ${event.message} [${event.code}]`;
    case 'problem':
      return `      ${where}  ${event.message} [${event.code}]`;
    case 'waiting':
      return `      ${where}  waits for a chip`;
    default:
      return undefined;
  }
}

const LARGE = {
  pass: [
    '████   ███   ████  ████',
    '█   █ █   █ █     █    ',
    '████  █████  ███   ███ ',
    '█     █   █     █     █',
    '█     █   █ ████  ████ ',
  ],
  fail: [
    '█████  ███  ███ █    ',
    '█     █   █  █  █    ',
    '████  █████  █  █    ',
    '█     █   █  █  █    ',
    '█     █   █ ███ █████',
  ],
} as const;
const GREEN = '\u001b[32m';
const RED = '\u001b[31m';
const PLAIN = '\u001b[0m';

/** The screen of a run. */
export function runScreen(state: RunState, batch: string, now: number, inColour: boolean): string {
  const { passed, again, failed, target, sockets, last, banner } = state;
  const failures = Object.values(failed).reduce((sum, each) => sum + each, 0);
  const colour = (text: string, code: string): string => (inColour ? `${code}${text}${PLAIN}` : text);
  return [
    batch,
    '',
    `Done    ${passed}${target === undefined ? '' : ` of ${target}`}${again === 0 ? '' : `, and ${again} that were done before`}`,
    `Failed  ${failures}${Object.entries(failed)
      .map(([code, count]) => `  ${code} ${count}`)
      .join('')}`,
    `Rate    ${rateText(state, now)}`,
    '',
    ...Object.entries(sockets).map(([number, text]) => `Socket ${number}  ${text}`),
    '',
    ...(banner === undefined
      ? []
      : [
          ...LARGE[banner.pass ? 'pass' : 'fail'].map((line) => colour(line, banner.pass ? GREEN : RED)),
          `socket ${banner.socket}: ${banner.text}`,
          '',
        ]),
    ...last,
  ].join('\n');
}

/** Devices in an hour, and when the rest will be done at that rate. */
function rateText({ started, passed, target }: RunState, now: number): string {
  const hours = (now - started) / 3_600_000;
  if (passed === 0 || hours <= 0) return '-';
  const rate = passed / hours;
  const left = target === undefined ? undefined : Math.max(0, target - passed) / rate;
  return `${rate.toFixed(0)} an hour${left === undefined ? '' : `, ${durationText(left)} left`}`;
}

function durationText(hours: number): string {
  const minutes = Math.ceil(hours * 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
