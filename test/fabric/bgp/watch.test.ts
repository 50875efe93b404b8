import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type BgpSession, bgpSessions } from '../../../fabric/bgp/birdc.ts';
import { watchBird } from '../../../fabric/bgp/watch.ts';
import { Failure } from '../../../protocol/failure.ts';

const GREETING = '0001 BIRD 2.0.12 ready.\n';
const RESTRICTED = '0016 Access restricted\n';
const PROTOCOLS =
  '2002-Name       Proto      Table      State  Since         Info\n1002-device1    Device     ---        up     09:14:37.380  \n' +
  ' enf-b      BGP        ---        up     09:14:37.380  Established   \n enf-c      BGP        ---        start  09:14:37.380  Active        \n0000 \n';

/** Something at a socket in place of BIRD, and what it was asked. */
async function inPlaceOfBird(
  serve: (socket: Socket) => void,
): Promise<{ path: string; asked: () => string }> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-bird-'));
  const path = join(folder, 'bird.ctl');
  let asked = '';
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      asked += chunk;
    });
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { path, asked: () => asked };
}

describe('BIRD is asked at its socket', () => {
  test('for nothing but to look, and answers in pieces', async () => {
    const { path, asked } = await inPlaceOfBird(async (socket) => {
      for (const piece of `${GREETING}${RESTRICTED}${PROTOCOLS}`.match(/.{1,40}|\n/g)!) {
        socket.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    expect(await bgpSessions(path)).toEqual([
      { node: 'b', established: true, state: 'Established' },
      { node: 'c', established: false, state: 'Active' },
    ]);
    expect(asked()).toBe('restrict\nshow protocols\n');
  });

  test('and does not run', async () => {
    expect(await bgpSessions('/nowhere/bird.ctl')).toBeUndefined();
  });

  test.each<[string, (socket: Socket) => unknown, RegExp]>([
    ['says nothing', () => {}, /no answer within/],
    [
      'stops in the middle',
      (socket) => socket.write(`${GREETING}${RESTRICTED}1002-enf-b`),
      /no answer within/,
    ],
    ['hangs up', (socket) => socket.end(GREETING), /has closed/],
    ['talks without end', (socket) => socket.write(`${'x'.repeat(99)}\n`.repeat(11_000)), /too long/],
  ])('and %s', async (_, serve, why) => {
    const { path } = await inPlaceOfBird(serve);
    await expect(bgpSessions(path, 300)).rejects.toMatchObject({
      code: 'bgp.no-answer',
      message: expect.stringMatching(why),
    });
  });

  test('by a user who may not', async () => {
    const { path } = await inPlaceOfBird(() => {});
    process.seteuid!(65_534);
    try {
      await expect(bgpSessions(path)).rejects.toMatchObject({ code: 'bgp.not-permitted' });
    } finally {
      process.seteuid!(0);
    }
  });
});

describe('other nodes learn of no route', () => {
  const session = (established: boolean): BgpSession => ({ node: 'b', established, state: '' });
  const asking = async (answer: readonly BgpSession[] | undefined | Failure) => {
    const watch = watchBird('/run/bird.ctl', async (path) => {
      expect(path).toBe('/run/bird.ctl');
      if (answer instanceof Failure) throw answer;
      return answer;
    });
    return [await watch.lost(), watch.failing];
  };
  test.each<[string, Parameters<typeof asking>[0], boolean, string | null]>([
    ['all sessions are there', [session(true), session(true)], false, null],
    ['one of them is', [session(false), session(true)], false, null],
    ['none is', [session(false), session(false)], true, expect.stringMatching(/no other node/)],
    ['there are none of ours', [], false, expect.stringMatching(/no session/)],
    ['it does not run', undefined, true, expect.stringMatching(/does not run/)],
    [
      'it does not answer',
      new Failure('bgp.no-answer', 'operator', 'silent', { action: 'x' }),
      true,
      'silent',
    ],
    ['it may not be asked', new Failure('bgp.not-permitted', 'operator', 'no', { action: 'x' }), false, 'no'],
  ])('if %s', async (_, answer, lost, failing) => {
    expect(await asking(answer)).toEqual([lost, failing]);
  });
});
