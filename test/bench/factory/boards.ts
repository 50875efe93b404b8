import { readFileSync } from 'node:fs';
import { join as inFolder } from 'node:path';
import { join, sign, softwareDaaKey } from '../../../crypto/ecdaa.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { openIdentity } from '../../../factory/station/identity.ts';
import { encodeMessage, readFields, STEP } from '../../../factory/station/messages.ts';
import { postPinned } from '../../../os/net/https.ts';
import type { DaaKey } from '../../../protocol/crypto/daa-key.ts';
import { generateMemberSecret } from '../../../protocol/crypto/member.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { ALGORITHM, ATTRIBUTE, CURVE, encodeEccPublic } from '../../../tpm/structures.ts';
import { cpuOfProcess } from '../processes.ts';
import type { Row } from '../scale/report.ts';
import { median } from '../statistics.ts';
import { factory, makeBatch, startLine } from './place.ts';

/** What is measured apart from the others, so that a slow moment of the machine is one of several. */
const ROUNDS = 5;
/** Before that, the station's code is compiled. */
const WARM = 256;

/** A board, as its station sees it: a key in software that says of itself that it is in a TPM. The TPM's own time is not the station's. */
interface Board {
  readonly key: DaaKey;
  readonly publicArea: Uint8Array;
}

function makeBoard(): Board {
  const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
  const { fixedTpm, fixedParent, sensitiveDataOrigin, userWithAuth, noDa, sign: signs } = ATTRIBUTE;
  const publicArea = encodeEccPublic({
    nameAlgorithm: ALGORITHM.sha256,
    attributes: fixedTpm | fixedParent | sensitiveDataOrigin | userWithAuth | noDa | signs,
    policy: new Uint8Array(),
    scheme: { algorithm: ALGORITHM.ecdaa, hash: ALGORITHM.sha256, count: 0 },
    curve: CURVE.bnP256,
    x: key.publicPoint.subarray(1, 33),
    y: key.publicPoint.subarray(33),
  });
  return { key, publicArea };
}

/** Where boards go. */
interface Target {
  readonly url: string;
  readonly fingerprint: string;
  readonly token: string;
  readonly basename: Uint8Array;
}

/** Makes a device of a board. @throws Error if the station refuses it */
async function personalise({ key, publicArea }: Board, serial: string, to: Target): Promise<void> {
  const { url, fingerprint, token, basename } = to;
  const post = async (path: string, message: Parameters<typeof encodeMessage>[0], authorization?: string) => {
    const body = encodeMessage(message);
    const bounds = { timeoutMs: 60_000, answerBytes: 16_384 };
    const answer = await postPinned({ url, fingerprint, path, body, authorization, ...bounds });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.body}`);
    return readFields(encodeUtf8(answer.body));
  };
  const begun = await post(STEP.begin, { serial, serialFrom: 'board', tpm: 'IBM' }, `Bearer ${token}`);
  const session = begun.needed('session', /^[0-9a-f]{32}$/);
  const memberKey = await join(primitives, key, begun.bytes('nonce', 32), basename);
  const reply = await post(STEP.join, { session, publicArea, memberKey, holds: false });
  const message = reply.bytes('message', 32);
  const signature = await sign(primitives, key, reply.bytes('credential', 260), message, basename);
  await post(STEP.done, { session, signature });
}

const TRIES = 3;

/** As the command on a board, which is run again: beside other work a connection may wait too long for its handshake. */
async function persevering(board: Board, serial: string, to: Target): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await personalise(board, serial, to);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

/** Boards on the network: what the station spends on each, and how many become devices in a second. */
export async function measureBoards(
  folder: string,
  { boards, atOnce }: { readonly boards: number; readonly atOnce: number },
): Promise<readonly Row[]> {
  const batch = makeBatch(folder, 'boards');
  const all = WARM + boards * ROUNDS;
  const tokenFile = inFolder(folder, 'boards.token');
  factory('station', 'token', '--group', batch.group, '--count', String(all), '--out', tokenFile);
  const identity = inFolder(folder, 'station');
  const { fingerprint } = await openIdentity(identity);
  const where = ['--identity', identity, '--listen', '127.0.0.1:0', '--boards', String(atOnce)];
  const station = startLine('station', 'serve', '--group', batch.group, '--trust', batch.trust, ...where);
  try {
    const { port } = await station.until(({ event }) => event === 'listening');
    const target = {
      url: `https://127.0.0.1:${port}`,
      fingerprint,
      token: readFileSync(tokenFile, 'utf8').trim(),
      basename: encodeUtf8('bench'),
    };
    let made = 0;
    const run = async (count: number): Promise<void> => {
      const waiting = Array.from({ length: count }, makeBoard);
      const worker = async (): Promise<void> => {
        for (let board = waiting.pop(); board !== undefined; board = waiting.pop())
          await persevering(board, `B${made++}`, target);
      };
      await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
    };
    await run(WARM);
    const [cpu, rate]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const before = { cpu: cpuOfProcess(station.pid), at: performance.now() };
      await run(boards);
      cpu.push(((cpuOfProcess(station.pid) - before.cpu) / boards) * 1_000);
      rate.push(boards / ((performance.now() - before.at) / 1_000));
    }
    return [
      {
        what: `a board at the station, CPU, ${atOnce} at a time`,
        unit: 'ms',
        value: median(cpu)!,
        must: { atMost: 5 },
      },
      { what: 'boards that become devices, all on this machine', unit: '/s', value: median(rate)! },
      { what: 'the same, as many as one processor can serve', unit: '/s', value: 1_000 / median(cpu)! },
    ];
  } finally {
    await station.stop();
  }
}
