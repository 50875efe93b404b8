import { inColour } from '../../cli/colour.ts';
import { type Command, EXIT, type Invocation } from '../../cli/program.ts';
import { type InputLines, inputLines } from '../../cli/prompt.ts';
import { repaint } from '../../cli/watch.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { probe } from '../../tpm/probe.ts';
import { withJournal } from '../batch/journal.ts';
import type { Marks } from '../batch/record.ts';
import { checkSerial, type SerialSource } from '../batch/row.ts';
import { personaliseTpm } from '../device/personalise.ts';
import { openGroup } from '../group/group.ts';
import { readTrust, tctiOf, unlockOpenBatch } from '../operations.ts';
import { advance, eventLine, newRun, runScreen } from '../station/progress.ts';
import { runSockets, type SocketEvent } from '../station/sockets.ts';
import {
  ALLOW_SEALED_OPTION,
  parsePlacement,
  readHierarchyAuth,
  readPolicy,
  STATION_TPM_OPTIONS,
} from './device.ts';
import {
  askPassphrase,
  GROUP_OPTION,
  PASSPHRASE_OPTION,
  STATION_TPM_OPTION,
  stationTpm,
  TRUST_OPTION,
} from './group.ts';
import { OPERATOR_OPTIONS, RECORD_EK_OPTION, readOperator } from './marks.ts';

const POLL_MS = 500;
const MOST_SOCKETS = 32;
const BELL = '\u0007';

export const batchRun: Command = {
  name: 'batch run',
  summary: 'make devices of chips in sockets, one after the other, several side by side',
  options: [
    GROUP_OPTION,
    TRUST_OPTION,
    PASSPHRASE_OPTION,
    STATION_TPM_OPTION,
    {
      name: 'tpm',
      alias: 'tcti',
      value: 'DEVICE',
      help: 'a socket, e.g. /dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321; may be given several times',
      many: true,
    },
    { name: 'count', value: 'N', help: 'end after N devices that were not in the batch before' },
    {
      name: 'ask-serial',
      value: 'typed|scanned',
      help: 'before each chip, read its serial number as a line from the terminal or a scanner',
    },
    ...STATION_TPM_OPTIONS,
    RECORD_EK_OPTION,
    ...OPERATOR_OPTIONS,
  ],
  examples: [
    'enf-factory batch run --group groups/march --trust trust.json --tpm /dev/tpmrm0 --tpm /dev/tpmrm1 --ask-serial scanned',
    'enf-factory batch run --group groups/march --trust trust.json --tpm /dev/tpmrm0 --count 500 --json',
  ],
  async run(invocation) {
    const group = await openGroup(invocation.required('group'));
    const trust = await readTrust(invocation.required('trust'));
    const sockets = readSockets(invocation);
    const count = readCount(invocation.option('count'));
    const operator = readOperator(invocation);
    const placement = parsePlacement(invocation.option('map') ?? 'auto');
    const endorsement = await readPolicy(invocation);
    const source = readSource(invocation.option('ask-serial'));
    const hierarchyAuth = await readHierarchyAuth(invocation);
    const issuerSecret = await unlockOpenBatch(
      group,
      askPassphrase(invocation, group),
      stationTpm(invocation),
    );
    const lines = inputLines();
    const serials = source && askSerials(lines, source);
    const stop = new AbortController();
    stop.signal.addEventListener('abort', () => lines.close());
    // At once, when it is pressed again: nothing is lost.
    process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
    const show = display(invocation, `${group.name}, ${counted(sockets.length, 'socket')}`, count);
    try {
      const made = await runSockets({
        sockets,
        count,
        signal: stop.signal,
        pollMs: POLL_MS,
        emit: show,
        isNext: serials === undefined ? nextByEnter(lines) : nextByEmptyLine(lines),
        async personalise(tpm, progress) {
          const marks: Marks = { ...operator, ...(await serials?.(progress)) };
          const done = await personaliseTpm({
            ...{ group, trust, tpm, placement, hierarchyAuth, endorsement, marks, progress },
            recordEk: invocation.flag(RECORD_EK_OPTION.name),
            allowSealed: invocation.flag(ALLOW_SEALED_OPTION.name),
            capabilities: await probe(tpm),
            issuerSecret: async () => issuerSecret.slice(),
          });
          return { member: done.member, serial: done.serial, again: done.already && done.known };
        },
        recordFailure: async ({ code, message }, member) => {
          const facts = { ...operator, result: 'fail', failure: code, message, member } as const;
          await withJournal(group, (journal) => journal.record(facts));
        },
      });
      if (!invocation.flag('json'))
        process.stdout.write(`${counted(made, 'device was', 'devices were')} made.\n`);
      return count === undefined || made >= count ? EXIT.ok : EXIT.failed;
    } finally {
      lines.close();
      wipe(issuerSecret, hierarchyAuth ?? new Uint8Array());
    }
  },
};

/** A screen on a terminal, lines elsewhere, JSON with `--json`; and a bell for who looks at the chips: one for pass, three for fail. */
function display(
  invocation: Invocation,
  batch: string,
  count: number | undefined,
): (event: SocketEvent) => void {
  if (invocation.flag('json')) {
    return (event) =>
      void process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
  }
  if (!process.stdout.isTTY) {
    return (event) => {
      const line = eventLine(event);
      if (line !== undefined) process.stdout.write(`${line}\n`);
    };
  }
  let state = newRun(Date.now(), count);
  return (event) => {
    state = advance(state, event);
    repaint(runScreen(state, batch, Date.now(), inColour()));
    if (event.event === 'pass') process.stdout.write(BELL);
    if (event.event === 'fail') process.stdout.write(BELL.repeat(3));
  };
}

/** One serial number after the other, for whoever asks; a bad one is asked for again. */
function askSerials(
  lines: InputLines,
  source: SerialSource,
): (progress: (step: string) => void) => Promise<Pick<Marks, 'serial' | 'serialFrom'>> {
  let turn: Promise<unknown> = Promise.resolve();
  return (progress) => {
    const mine = turn.then(async () => {
      for (let question = 'its serial number, please'; ; ) {
        progress(question);
        const line = await lines.next();
        if (line === undefined) throw noMoreSerials();
        try {
          return { serial: checkSerial(line.trim()), serialFrom: source };
        } catch (error) {
          if (!isFailure(error)) throw error;
          question = `${error.message}: again, please`;
        }
      }
    });
    turn = mine.catch(() => {});
    return mine;
  };
}

/** Enter means all sockets, a number that one. */
function nextByEnter(lines: InputLines): (socket: number) => boolean {
  const pressed = new Set<number>();
  let all = new Set<number>();
  let known = new Set<number>();
  void (async () => {
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
      const number = Number(line.trim());
      if (line.trim() === '') all = new Set(known);
      else pressed.add(number);
    }
  })();
  return (socket) => {
    known = known.add(socket);
    const byAll = all.delete(socket);
    return pressed.delete(socket) || byAll;
  };
}

/**
 * Where lines are serial numbers, Enter means all sockets with chips that show no difference to the next; while a serial number is asked for, it is
 * an answer.
 */
function nextByEmptyLine(lines: InputLines): (socket: number, keyless: boolean) => boolean {
  const known = new Set<number>();
  let all = new Set<number>();
  return (socket, keyless) => {
    if (!keyless) return false;
    known.add(socket);
    if (lines.takeEmpty()) all = new Set(known);
    return all.delete(socket);
  };
}

function readSockets(invocation: Invocation): string[] {
  const given = invocation.options('tpm');
  const sockets = (given.length === 0 ? ['/dev/tpmrm0'] : given).map(tctiOf);
  if (sockets.length <= MOST_SOCKETS && new Set(sockets).size === sockets.length) return sockets;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--tpm: expected at most ${MOST_SOCKETS} different sockets`,
    {
      action: 'Name each socket once.',
    },
  );
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--count: expected a number of devices, got ${JSON.stringify(text)}`,
    {
      action: 'Give a number such as 500.',
    },
  );
}

function readSource(text: string | undefined): SerialSource | undefined {
  if (text === undefined || text === 'typed' || text === 'scanned') return text;
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--ask-serial: expected typed or scanned, got ${JSON.stringify(text)}`,
    {
      action: 'Say where the serial numbers come from.',
    },
  );
}

function noMoreSerials(): Failure {
  return new Failure(
    'factory.no-serial',
    'operator',
    'a serial number is wanted, and there is no more input',
    {
      action: 'Run the command on a terminal, or pipe one serial number for each chip into it.',
    },
  );
}
