import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { cpuOfProcess } from '../processes.ts';
import type { Row } from '../scale/report.ts';
import { makeBatch, startLine } from './place.ts';

const SOCKETS = 4;
/** Chips before which nothing is counted: the program has read and compiled what it needs. */
const WARM = 8;
/** The station sees an empty socket within that time. */
const EMPTY_MS = 700;

/** A socket: ports that lead to whichever chip is in it. */
interface ChipSocket {
  readonly tcti: string;
  /** Takes the chip out, and puts another in. */
  change(): Promise<void>;
  close(): Promise<void>;
}

async function openSocket(): Promise<ChipSocket> {
  // Two neighbouring ports that nobody uses.
  const probe = await startSwtpm();
  await probe.stop();
  const links = new Set<Socket>();
  const servers: Server[] = [];
  let chip: Swtpm | undefined;
  for (const offset of [0, 1]) {
    const server = createServer((from) => {
      if (chip === undefined) return void from.destroy();
      const to = connect(chip.port + offset, '127.0.0.1');
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        links.add(one);
        one
          .on('error', () => {})
          .on('close', () => {
            links.delete(one);
            other.destroy();
          })
          .pipe(other);
      }
    });
    server.listen(probe.port + offset, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
  }
  const takeOut = async (): Promise<void> => {
    const before = chip;
    chip = undefined;
    for (const link of links) link.destroy();
    await before?.stop();
  };
  return {
    tcti: `swtpm:host=127.0.0.1,port=${probe.port}`,
    async change() {
      const next = await startSwtpm();
      await takeOut();
      await sleep(EMPTY_MS);
      chip = next;
    },
    async close() {
      await takeOut();
      for (const server of servers) server.close();
    },
  };
}

/** Chips in four sockets: what the station spends on each, looking into the sockets included; what the chips do themselves is not in it. */
export async function measureChips(folder: string, chips: number): Promise<readonly Row[]> {
  const batch = makeBatch(folder, 'chips');
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, openSocket));
  try {
    for (const socket of sockets) await socket.change();
    const named = sockets.flatMap(({ tcti }) => ['--tpm', tcti]);
    const all = WARM + chips;
    const run = startLine('batch', 'run', '--group', batch.group, '--trust', batch.trust, ...named);
    try {
      let before = { cpu: 0, at: 0 };
      for (let made = 1; made <= all; made++) {
        const { socket } = await run.until(({ event }) => event === 'pass');
        if (made === WARM) before = { cpu: cpuOfProcess(run.pid), at: performance.now() };
        // The last ones stay where they are.
        if (made <= all - SOCKETS) void sockets[socket! - 1]!.change();
      }
      const seconds = (performance.now() - before.at) / 1_000;
      const cpu = ((cpuOfProcess(run.pid) - before.cpu) / chips) * 1_000;
      return [
        { what: `a chip in one of ${SOCKETS} sockets, CPU beside the chip's`, unit: 'ms', value: cpu },
        { what: 'chips that become devices, as fast as they are put in', unit: '/s', value: chips / seconds },
      ];
    } finally {
      await run.stop();
    }
  } finally {
    for (const socket of sockets) await socket.close();
  }
}
