import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type Answerer,
  askControl,
  StatusError,
  serveControl,
  serveLoopback,
} from '../../../os/net/control-socket.ts';
import { Failure } from '../../../protocol/failure.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'enf-control-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function serving(answer: Answerer): Promise<string> {
  const path = join(folder(), 'run', 'control.sock');
  const control = await serveControl(path, answer);
  onTestFinished(() => control.close());
  return path;
}

const GET = { method: 'GET', path: '/v1/x' };

test('a question gets its JSON answer, on a socket for owner and group', async () => {
  const path = await serving(({ method, path: asked }) => ({ method, asked }));
  expect(await askControl(path, GET)).toEqual({ method: 'GET', asked: '/v1/x' });
  expect(await askControl(path, { method: 'POST', path: '/v1/y?z=1' })).toEqual({
    method: 'POST',
    asked: '/v1/y',
  });
  expect(statSync(path).mode & 0o777).toBe(0o660);
});

test('a body is JSON of up to 64 KiB, and read only if it is asked for', async () => {
  const path = await serving(async (question) =>
    question.path === '/unread' ? 'unread' : { got: await question.json() },
  );
  const post = (body: unknown, to = '/v1/x'): Promise<unknown> =>
    askControl(path, { method: 'POST', path: to, body });
  expect(await post({ text: 'grün', list: [1, null] })).toEqual({ got: { text: 'grün', list: [1, null] } });
  expect(await post('x'.repeat(65_534))).toEqual({ got: 'x'.repeat(65_534) });
  for (const length of [65_535, 3_000_000]) {
    await expect(post('x'.repeat(length))).rejects.toThrow('control.bad-question');
  }
  expect(await post('x'.repeat(65_534), '/unread')).toBe('unread');
  await expect(askControl(path, { method: 'POST', path: '/v1/x' })).rejects.toThrow('control.bad-question');
});

test('whoever asks may be patient or not', async () => {
  const path = await serving(() => new Promise((resolve) => setTimeout(() => resolve('late'), 300)));
  await expect(askControl(path, GET, 50)).rejects.toThrow('no answer within 50 ms');
  expect(await askControl(path, GET, 5_000)).toBe('late');
});

test('who closes may wait for the requests under way', async () => {
  const slow = async () => {
    const path = join(folder(), 'slow.sock');
    let arrived = (): void => {};
    const asked = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const control = await serveControl(path, () => {
      arrived();
      return new Promise((resolve) => setTimeout(() => resolve('late'), 300));
    });
    const answer = askControl(path, GET).catch((error: Failure) => error.code);
    await asked;
    return { path, control, answer };
  };
  const patient = await slow();
  const closing = patient.control.close(5_000);
  await expect(askControl(patient.path, GET)).rejects.toMatchObject({ code: 'control.nobody' });
  expect(await patient.answer).toBe('late');
  await closing;
  for (const graceMs of [0, 50]) {
    const impatient = await slow();
    await impatient.control.close(graceMs);
    expect(await impatient.answer).toBe('control.bad-answer');
  }
});

test('an answer may take its time; curl can ask, too', async () => {
  const path = await serving(async () => ({ late: true }));
  expect(await askControl(path, GET)).toEqual({ late: true });
  const code = `require('node:http').get({ socketPath: ${JSON.stringify(path)}, path: '/' }, (r) => r.pipe(process.stdout))`;
  // From another process, so that the server is not only reached from within.
  const { execFile } = await import('node:child_process');
  const text = await new Promise<string>((resolve) =>
    execFile(process.execPath, ['-e', code], (_, stdout) => resolve(stdout)),
  );
  expect(JSON.parse(text)).toEqual({ late: true });
});

describe('refusals', () => {
  test('an unknown path and a failure of the program', async () => {
    const path = await serving((question) => {
      if (question.path === '/fails') throw new Failure('x.broken', 'operator', 'it broke');
      if (question.path === '/bug') throw new TypeError('a mistake');
      return undefined;
    });
    await expect(askControl(path, GET)).rejects.toMatchObject({
      code: 'control.bad-answer',
      message: expect.stringContaining('404'),
    });
    await expect(askControl(path, { ...GET, path: '/fails' })).rejects.toThrow('x.broken');
    await expect(askControl(path, { ...GET, path: '/bug' })).rejects.toThrow('500');
    await expect(askControl(path, GET)).rejects.toThrow('404');
    const error = await askControl(path, GET).then(
      () => undefined,
      (failure: Failure) => failure,
    );
    expect(error?.cause).toBeInstanceOf(StatusError);
    expect(error?.cause).toMatchObject({ status: 404 });
  });

  test('nobody there: no socket, a dead one, a file, a folder in the way', async () => {
    const place = folder();
    const dead = join(place, 'dead.sock');
    leaveDeadSocket(dead);
    writeFileSync(join(place, 'file'), '');
    for (const name of ['none.sock', 'dead.sock', 'file', 'file/x.sock']) {
      await expect(askControl(join(place, name), GET)).rejects.toMatchObject({ code: 'control.nobody' });
    }
  });

  test('somebody who does not speak the language', async () => {
    const path = join(folder(), 'other.sock');
    const other = await plainServer(path, 'SSH-2.0-x\r\n');
    await expect(askControl(path, GET)).rejects.toMatchObject({ code: 'control.bad-answer' });
    other.close();
  });

  test('a path that the kernel would cut short', async () => {
    const path = join(folder(), 'x'.repeat(120));
    await expect(serveControl(path, async () => ({}))).rejects.toMatchObject({
      code: 'control.path-too-long',
    });
    await expect(askControl(path, GET)).rejects.toMatchObject({ code: 'control.nobody' });
  });

  test('a second program on the same socket', async () => {
    const path = await serving(() => 1);
    await expect(serveControl(path, () => 2)).rejects.toMatchObject({ code: 'control.in-use' });
    expect(await askControl(path, GET)).toBe(1);
  });

  test('a place where nothing can listen', async () => {
    const place = folder();
    writeFileSync(join(place, 'file'), '');
    await expect(serveControl(join(place, 'file', 'x.sock'), () => 1)).rejects.toMatchObject({
      code: 'control.cannot-listen',
    });
  });
});

test('the socket of a killed program is replaced, a closed one is gone', async () => {
  const path = join(folder(), 'control.sock');
  leaveDeadSocket(path);
  expect(existsSync(path)).toBe(true);
  const control = await serveControl(path, () => 'new');
  expect(await askControl(path, GET)).toBe('new');
  await control.close();
  expect(existsSync(path)).toBe(false);
});

/** A socket file whose program was killed. */
function leaveDeadSocket(path: string): void {
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', code], { stdio: 'ignore' });
  } catch {}
}

function plainServer(path: string, greeting: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(greeting);
  });
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

describe('[H-B4] a server that anybody on the machine may reach', () => {
  const servers = {
    unix: async (answer: Answerer) => ({ path: await serving(answer) }),
    loopback: async (answer: Answerer) => {
      const server = await serveLoopback({ host: '127.0.0.1', port: 0 }, answer);
      onTestFinished(() => server.close());
      return { host: '127.0.0.1', port: server.port };
    },
  };
  type Place = { path: string } | { host: string; port: number };
  const get = 'GET /x HTTP/1.1\r\nhost: x\r\n\r\n';
  /** A connection that sends this; `text` is what came back, `closed` resolves when it is over. */
  const open = (place: Place, ...send: string[]) => {
    const socket = connect(place);
    let text = '';
    let over = false;
    const closed = new Promise<string>((resolve) =>
      socket.on('close', () => {
        over = true;
        resolve(text);
      }),
    );
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
    });
    for (const each of send) socket.write(each);
    onTestFinished(() => void socket.destroy());
    return { socket, closed, isOver: () => over };
  };

  for (const [kind, serve] of Object.entries(servers)) {
    test(`${kind}: silent connections take no place from those that ask, and end by themselves`, async () => {
      const place: Place = await serve(() => 'here');
      const silent = Array.from({ length: 200 }, () => open(place));
      const half = Array.from({ length: 200 }, () => open(place, 'GET /x HTTP/1.1\r\nx: '));
      for (let i = 0; i < 5; i++) expect(await open(place, get).closed).toContain('"here"');
      const left = [...silent, ...half].filter(({ isOver }) => !isOver());
      expect(left.length).toBeLessThanOrEqual(32);
      expect(left.length).toBeGreaterThan(0);
      await Promise.all(left.map(({ closed }) => closed));
    });

    test(`${kind}: one request for each connection, short, and an answer that is taken`, async () => {
      let asked = 0;
      const long = 'x'.repeat(4_000_000);
      const place: Place = await serve(({ path }) => {
        asked++;
        return path === '/long' ? long : 'here';
      });
      await open(place, get.repeat(1_000)).closed;
      expect(asked).toBe(1);
      const body = open(
        place,
        'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n',
        'x'.repeat(100_000),
      );
      await body.closed;
      const endless = open(place, `GET /x HTTP/1.1\r\n${'a: b\r\n'.repeat(10_000)}`);
      await endless.closed;
      // Nobody reads: it ends all the same.
      const slow = open(place, get.replace('/x', '/long'));
      slow.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      slow.socket.resume();
      expect((await slow.closed).length).toBeLessThan(long.length);
    });

    test(`${kind}: nonsense is answered or cut, and the next one is served`, async () => {
      const place: Place = await serve(() => 'here');
      for (const nonsense of [
        '\0\x01\x02\r\n\r\n',
        'GET // HTTP/1.1\r\nhost: x\r\n\r\n',
        'GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n',
        'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n',
        'GET /?%%% HTTP/1.1\r\nhost: x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      ])
        await open(place, nonsense).closed;
      expect(await open(place, get).closed).toContain('"here"');
    });
  }

  test('a question that waits keeps its place, and learns that nobody waits any more', async () => {
    const waiting: { answer(text: string): void; signal: AbortSignal | undefined }[] = [];
    const path = await serving(({ path: asked, signal }) =>
      asked === '/x' ? new Promise<string>((answer) => waiting.push({ answer, signal })) : 'other',
    );
    const first = open({ path }, get);
    await expect.poll(() => waiting).toHaveLength(1);
    for (let i = 0; i < 100; i++) open({ path });
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    waiting[0]!.answer('at last');
    expect(await first.closed).toContain('at last');
    const gone = open({ path }, get);
    await expect.poll(() => waiting).toHaveLength(2);
    expect(waiting[1]!.signal?.aborted).toBe(false);
    gone.socket.destroy();
    await expect.poll(() => waiting[1]!.signal?.aborted).toBe(true);
  });
});
