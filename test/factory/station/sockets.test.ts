import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withJournal } from '../../../factory/batch/journal.ts';
import { personaliseTpm } from '../../../factory/device/personalise.ts';
import { createGroup, type Group, unlockIssuer } from '../../../factory/group/group.ts';
import { advance, eventLine, newRun, runScreen } from '../../../factory/station/progress.ts';
import { runSockets, type SocketEvent, type SocketRun } from '../../../factory/station/sockets.ts';
import { Failure } from '../../../protocol/failure.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import type { Tpm } from '../../../tpm/context.ts';
import { probe } from '../../../tpm/probe.ts';
import { expectFailure, readManifest, scratch, someTrust } from '../folders.ts';

const path = scratch();
const trust = someTrust();
const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
let [group, other] = [undefined, undefined] as unknown as [Group, Group];
let chips: Swtpm[] = [];
let made = 0;
let closing: (() => void)[] = [];

beforeEach(async () => {
  made++;
  const named = (name: string): Promise<Group> =>
    createGroup({ folder: path(`${name}-${made}`), name, basename: encodeUtf8('xaprcnet') });
  [group, other] = [await named('March'), await named('April')];
});
afterEach(async () => {
  for (const close of closing) close();
  for (const chip of chips) await chip.stop();
  [chips, closing] = [[], []];
});

async function chipIn(): Promise<Swtpm> {
  const chip = await startSwtpm();
  chips.push(chip);
  return chip;
}

/** A socket: ports that lead to whichever chip is in it. */
async function testSocket(): Promise<{ readonly tcti: string; put(chip: Swtpm): Promise<void> }> {
  // Two neighbouring ports that nobody uses.
  const { port, stop } = await startSwtpm();
  await stop();
  const links = new Set<Socket>();
  let target: number | undefined;
  for (const offset of [0, 1]) {
    const server = createServer((from) => {
      if (target === undefined) return void from.destroy();
      const to = connect(target + offset, '127.0.0.1');
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        links.add(one);
        one
          .on('error', () => {})
          .on('close', () => other.destroy())
          .pipe(other);
      }
    });
    server.listen(port + offset, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
  }
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    async put(chip) {
      target = undefined;
      // The station sees that it is empty.
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const link of links) link.destroy();
      links.clear();
      target = chip.port;
    },
  };
}

async function makeDevice(tpm: Tpm, into = group): ReturnType<SocketRun['personalise']> {
  const done = await personaliseTpm({
    ...{ group: into, trust, tpm, placement: 'auto', endorsement: { authorities: [], required: false } },
    capabilities: await probe(tpm),
    issuerSecret: () => unlockIssuer(into, nobody),
    progress: () => {},
  });
  return { member: done.member, again: done.already && done.known };
}

const runOf = (more: Partial<SocketRun> & Pick<SocketRun, 'sockets'>): SocketRun => ({
  personalise: (tpm) => makeDevice(tpm),
  recordFailure: async ({ code, message }, member) => {
    await withJournal(group, (journal) => journal.record({ result: 'fail', failure: code, message, member }));
  },
  emit: () => {},
  signal: new AbortController().signal,
  pollMs: 20,
  ...more,
});

describe('sockets', () => {
  test('four side by side make eight devices of chips that come and go', async () => {
    const waiting = await Promise.all(Array.from({ length: 8 }, () => chipIn()));
    const sockets = await Promise.all([1, 2, 3, 4].map(() => testSocket()));
    for (const socket of sockets) await socket.put(waiting.pop()!);
    const passed: string[] = [];
    const failures: string[] = [];
    const changes: Promise<void>[] = [];
    const emit = (event: SocketEvent): void => {
      if (event.event === 'fail') failures.push(event.message);
      if (event.event !== 'pass') return;
      passed.push(event.member);
      const next = waiting.pop();
      if (next !== undefined) changes.push(sockets[event.socket - 1]!.put(next));
    };
    expect(await runSockets(runOf({ sockets: sockets.map(({ tcti }) => tcti), count: 8, emit }))).toBe(8);
    await Promise.all(changes);
    expect(failures).toEqual([]);
    expect(new Set(passed).size).toBe(8);
    expect((await readManifest(group)).map(({ member }) => member).sort()).toEqual(passed.sort());
  });

  test('a chip that comes again is no second device, a foreign one fails and stays as it is', async () => {
    const foreign = await chipIn();
    const signal = new AbortController();
    const fresh = await chipIn();
    await runSockets(
      runOf({ sockets: [foreign.tcti], count: 1, personalise: (tpm) => makeDevice(tpm, other) }),
    );
    const events: SocketEvent[] = [];
    const emit = (event: SocketEvent): void => {
      events.push(event);
      if (events.filter(({ event: name }) => name === 'pass' || name === 'fail').length === 2) signal.abort();
    };
    await runSockets(runOf({ sockets: [foreign.tcti, fresh.tcti], emit, signal: signal.signal }));
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'fail', socket: 1, code: 'factory.already-personalised' }),
    );
    expect(events).toContainEqual(expect.objectContaining({ event: 'pass', socket: 2, again: false }));
    const next = new AbortController();
    const later: SocketEvent[] = [];
    await runSockets(
      runOf({
        sockets: [fresh.tcti],
        signal: next.signal,
        emit: (event) => {
          later.push(event);
          if (event.event === 'pass') next.abort();
        },
      }),
    );
    expect(later).toContainEqual(expect.objectContaining({ event: 'pass', again: true }));
    expect(await readManifest(group)).toHaveLength(1);
    expect(await readManifest(other)).toHaveLength(1);
    const { tally } = await withJournal(group, async ({ tally }) => ({ tally }));
    expect(tally).toMatchObject({ passed: 1, failed: { 'factory.already-personalised': 1 } });
  });

  test('what would meet every chip ends the run; what meets one does not', async () => {
    const chip = await chipIn();
    const fail = (code: string): Partial<SocketRun> => ({
      personalise: async () => {
        throw code === 'os.disk-full'
          ? new Failure('os.disk-full', 'retry', 'full')
          : new Failure('tpm.busy', 'retry', 'busy');
      },
    });
    await expectFailure(runSockets(runOf({ sockets: [chip.tcti], ...fail('os.disk-full') })), 'os.disk-full');
    // What is no failure at one socket waits for the chip in the other.
    const other = await chipIn();
    let [began, done] = [false, false];
    const mistaken = runSockets(
      runOf({
        sockets: [chip.tcti, other.tcti],
        personalise: async () => {
          await new Promise((resolve) => setTimeout(resolve, 200));
          done = true;
          return { member: 'aa', again: false };
        },
        emit: ({ event, socket }) => {
          if (event !== 'chip') return;
          if (socket === 1) began = true;
          else throw new TypeError('a mistake');
        },
      }),
    );
    await expect(mistaken).rejects.toThrow('a mistake');
    expect(done).toBe(began);
    const stop = new AbortController();
    let attempts = 0;
    const run = runOf({
      sockets: [chip.tcti],
      ...fail('tpm.busy'),
      // Enter: the chip has no key by which another could be told from it.
      isNext: () => true,
      signal: stop.signal,
      emit: ({ event }) => {
        if (event === 'fail' && ++attempts === 2) stop.abort();
      },
    });
    expect(await runSockets(run)).toBe(0);
    expect(attempts).toBe(2);
  });
});

test('the screen shows what was done, what failed and why, the rate and the time that is left', () => {
  const pass = (i: number): SocketEvent => ({
    event: 'pass',
    socket: 1,
    member: `${i}`.padStart(64, '0'),
    serial: `S${i}`,
    again: false,
  });
  const fail: SocketEvent = {
    event: 'fail',
    socket: 2,
    code: 'tpm.lost',
    message: 'it is gone',
    action: undefined,
  };
  let state = newRun(0, 100);
  for (const event of [...Array.from({ length: 12 }, (_, i) => pass(i)), fail]) state = advance(state, event);
  const screen = runScreen(state, 'March', 3_600_000, false);
  expect(screen).toContain('Done    12 of 100');
  expect(screen).toContain('Failed  1  tpm.lost 1');
  expect(screen).toContain('Rate    12 an hour, 7 h 20 min left');
  expect(screen).toContain('Socket 1  PASS, take it out');
  expect(screen.split('\n').filter((line) => /^(PASS|FAIL) /.test(line))).toHaveLength(10);
  expect(screen).toContain('█████  ███  ███ █');
  expect(screen).not.toContain('\u001b');
  expect(eventLine(fail)).toBe('FAIL  socket 2  it is gone [tpm.lost]');
});
