import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { addon } from '../../native/index.ts';
import type { TunHandle } from '../../native/net.ts';
import { concat } from '../../protocol/bytes.ts';
import { descriptors, run, runChild } from './child.ts';
import { exists, ip, newLink, raise } from './link.ts';
import { echoReply, echoRequest, frame, isEcho, isUdp, packetsOf } from './packets.ts';

const opened: TunHandle[] = [];
afterEach(() => {
  for (const tun of opened.splice(0)) addon().tunClose(tun);
});

function open(name: string): TunHandle {
  const tun = addon().tunOpen(name);
  opened.push(tun);
  return tun;
}

async function sendUdp(peer: string, payloads: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket('udp6');
  socket.bind(0);
  await once(socket, 'listening');
  for (const payload of payloads)
    await new Promise<void>((resolve, reject) =>
      socket.send(payload, 9, peer, (error) => (error ? reject(error) : resolve())),
    );
  socket.close();
}

describe('packets', () => {
  test('a ping from the kernel is answered through the device', async () => {
    const link = newLink();
    const tun = open(link.name);
    expect(addon().tunName(tun)).toBe(link.name);
    await raise(link);
    addon().tunStart(tun, (frames) => {
      for (const packet of packetsOf(frames!))
        if (isEcho(packet, 'request')) addon().tunWrite(tun, frame(echoReply(packet)));
      addon().tunResume(tun);
    });
    const ping = await run('ping', '-6', '-c', '2', '-i', '0.2', '-W', '5', link.peer);
    expect(ping.stdout).toContain('2 received');
    expect(ping.code).toBe(0);
  });

  test('the kernel answers pings that are written to the device, several in one batch', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    const replies: number[] = [];
    const all = new Promise<void>((resolve) => {
      addon().tunStart(tun, (frames) => {
        for (const packet of packetsOf(frames!)) if (isEcho(packet, 'reply')) replies.push(packet[47]!);
        addon().tunResume(tun);
        if (replies.length >= 3) resolve();
      });
    });
    const batch = concat(...[1, 2, 3].map((sequence) => frame(echoRequest(link.peer, link.host, sequence))));
    expect(addon().tunWrite(tun, batch)).toEqual({ packets: 3, dropped: 0 });
    await all;
    expect(replies).toEqual([1, 2, 3]);
  });

  test('batches are bounded and whole, and nothing is read before resume', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    await ip('link', 'set', 'dev', link.name, 'txqueuelen', '1000');
    const sizes: number[] = [];
    let packets = 0;
    let largest = 0;
    let more: (() => void) | undefined;
    addon().tunStart(tun, (frames) => {
      sizes.push(frames!.length);
      const read = packetsOf(frames!);
      largest = Math.max(largest, read.length);
      packets += read.filter(isUdp).length;
      more?.();
    });
    const batch = () =>
      new Promise<void>((resolve) => {
        more = resolve;
      });
    const first = batch();
    await sendUdp(link.peer, [new Uint8Array(10)]);
    await first;
    await sendUdp(link.peer, [
      ...Array.from({ length: 100 }, () => new Uint8Array(1200)),
      ...Array.from({ length: 400 }, () => new Uint8Array(10)),
    ]);
    await pause(50);
    expect(sizes.length).toBe(1);
    while (packets < 501) {
      const next = batch();
      addon().tunResume(tun);
      await next;
    }
    expect(packets).toBe(501);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536);
    expect(Math.max(...sizes)).toBeGreaterThan(60_000);
    expect(largest).toBeLessThanOrEqual(256);
    expect(largest).toBeGreaterThan(200);
  });

  test('a packet of 1,496 bytes comes whole, a longer one not at all', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link, 1500);
    const lengths: number[] = [];
    const end = new Promise<void>((resolve) => {
      addon().tunStart(tun, (frames) => {
        lengths.push(
          ...packetsOf(frames!)
            .filter(isUdp)
            .map((packet) => packet.length),
        );
        addon().tunResume(tun);
        if (lengths.at(-1) === 49) resolve();
      });
    });
    await sendUdp(link.peer, [new Uint8Array(1496 - 48), new Uint8Array(1497 - 48), new Uint8Array(1)]);
    await end;
    expect(lengths).toEqual([1496, 49]);
  });

  test('what the kernel refuses is counted', async () => {
    const link = newLink();
    const tun = open(link.name);
    const ping = frame(echoRequest(link.peer, link.host, 1));
    expect(addon().tunWrite(tun, ping)).toEqual({ packets: 1, dropped: 1 });
    await raise(link);
    expect(addon().tunWrite(tun, concat(ping, frame(new Uint8Array(40)), ping))).toEqual({
      packets: 3,
      dropped: 1,
    });
    expect(addon().tunWrite(tun, new Uint8Array(0))).toEqual({ packets: 0, dropped: 0 });
    expect(addon().tunWrite(tun, concat(Uint8Array.of(0, 0), ping))).toEqual({ packets: 1, dropped: 0 });
    addon().tunClose(tun);
    expect(addon().tunWrite(tun, ping)).toEqual({ packets: 1, dropped: 1 });
  });

  test('a frame that is cut off is refused, and nothing before it is written', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    let received = 0;
    addon().tunStart(tun, (frames) => {
      received += packetsOf(frames!).filter((packet) => isEcho(packet, 'reply')).length;
      addon().tunResume(tun);
    });
    const ping = frame(echoRequest(link.peer, link.host, 1));
    for (const bad of [
      Uint8Array.of(0),
      Uint8Array.of(0, 1),
      concat(ping, Uint8Array.of(255, 255)),
      ping.subarray(0, -1),
    ])
      expect(() => addon().tunWrite(tun, bad)).toThrow(TypeError);
    await pause(50);
    expect(received).toBe(0);
  });

  test('a batch buffer that JavaScript transfers away is replaced', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    let batches = 0;
    const twice = new Promise<void>((resolve) => {
      addon().tunStart(tun, (frames) => {
        if (!packetsOf(frames!).some(isUdp)) return addon().tunResume(tun);
        structuredClone(frames!.buffer, { transfer: [frames!.buffer as ArrayBuffer] });
        expect(frames!.length).toBe(0);
        addon().tunResume(tun);
        if (++batches === 2) resolve();
        else void sendUdp(link.peer, [new Uint8Array(1)]);
      });
    });
    await sendUdp(link.peer, [new Uint8Array(1)]);
    await twice;
  });
});

describe('the device', () => {
  test('goes with its handle, at once', async () => {
    const { name } = newLink();
    const tun = open(name);
    expect(await exists(name)).toBe(true);
    addon().tunClose(tun);
    addon().tunClose(tun);
    expect(await exists(name)).toBe(false);
    addon().tunResume(tun);
    expect(() => addon().tunStart(tun, () => {})).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('is held by one, and starts once', () => {
    const { name } = newLink();
    const tun = open(name);
    expect(() => addon().tunOpen(name)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    addon().tunStart(tun, () => {});
    expect(() => addon().tunStart(tun, () => {})).toThrow(expect.objectContaining({ code: 'EALREADY' }));
  });

  test('is no other kind of interface', () => {
    expect(() => addon().tunOpen('lo')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => addon().tunOpen('a/b')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test('says so when it is removed', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    const lost = new Promise<Error | undefined>((resolve) => {
      addon().tunStart(tun, (frames, error) =>
        frames === undefined ? resolve(error) : addon().tunResume(tun),
      );
    });
    await ip('link', 'del', 'dev', link.name);
    expect(await lost).toMatchObject({ code: 'EBADFD' });
    expect(addon().tunWrite(tun, frame(echoRequest(link.peer, link.host, 1)))).toEqual({
      packets: 1,
      dropped: 1,
    });
  });

  test('can be closed inside the callback', async () => {
    const link = newLink();
    const tun = open(link.name);
    await raise(link);
    let calls = 0;
    const called = new Promise<void>((resolve) => {
      addon().tunStart(tun, () => {
        calls++;
        addon().tunClose(tun);
        addon().tunResume(tun);
        resolve();
      });
    });
    await sendUdp(link.peer, [new Uint8Array(1)]).catch(() => {});
    await called;
    await pause(20);
    expect(calls).toBe(1);
    expect(await exists(link.name)).toBe(false);
  });

  test('a thousand opened and closed leave no descriptor', async () => {
    const { name } = newLink();
    await ip('tuntap', 'add', 'dev', name, 'mode', 'tun');
    try {
      const cycle = (started: boolean) => {
        const tun = addon().tunOpen(name);
        if (started) addon().tunStart(tun, () => {});
        addon().tunClose(tun);
      };
      cycle(true);
      await pause(10);
      const before = descriptors();
      for (let i = 0; i < 1000; i++) {
        cycle(i % 2 === 0);
        if (i % 100 === 0) await pause(0);
      }
      await pause(10);
      expect(descriptors() - before).toBeLessThan(10);
    } finally {
      await ip('link', 'del', 'dev', name);
    }
  });
});

describe('a process or Worker with a device', () => {
  const opens = `const tun = addon.tunOpen(argv[0]);`;
  /** Exit code 7 shows that the loop was still alive when an unreferenced timer fired, 0 that it had ended. */
  const watchdog = `setTimeout(() => process.exit(7), 300).unref();`;

  test('ends when the device is open but not started', async () => {
    expect((await runChild(`${opens} ${watchdog}`, newLink().name)).code).toBe(0);
  });

  test('stays while the device is started', async () => {
    expect((await runChild(`${opens} addon.tunStart(tun, () => {}); ${watchdog}`, newLink().name)).code).toBe(
      7,
    );
  });

  test('ends after close', async () => {
    const source = `${opens} addon.tunStart(tun, () => {}); addon.tunClose(tun); ${watchdog}`;
    expect((await runChild(source, newLink().name)).code).toBe(0);
  });

  test('gets an exception of the callback as an uncaught one', async () => {
    const { name } = newLink();
    const start = `${opens}
      require('child_process').execFileSync('env', ['-u', 'LD_PRELOAD', 'ip', 'link', 'set', 'dev', argv[0], 'up']);
      addon.tunStart(tun, () => { throw new Error('from the callback'); });`;
    const fatal = await runChild(start, name);
    expect(fatal).toMatchObject({ code: 1, signal: null });
    expect(fatal.stderr).toContain('from the callback');
    const caught = await runChild(
      `process.on('uncaughtException', (error) => { console.log('caught', error.message); addon.tunClose(tun); }); ${start}`,
      name,
    );
    expect(caught).toMatchObject({ code: 0, stdout: 'caught from the callback\n' });
  });

  test('can exit inside the callback', async () => {
    const source = `${opens}
      require('child_process').execFileSync('env', ['-u', 'LD_PRELOAD', 'ip', 'link', 'set', 'dev', argv[0], 'up']);
      addon.tunStart(tun, () => process.exit(5));`;
    expect(await runChild(source, newLink().name)).toMatchObject({ code: 5, signal: null });
  });

  test('loses it to the garbage collector when it is not started and forgotten, not when it is started', async () => {
    const source = `
      const { existsSync } = require('fs');
      const there = (name) => existsSync('/sys/class/net/' + name);
      (() => { addon.tunOpen(argv[0]); addon.tunStart(addon.tunOpen(argv[1]), () => {}); })();
      setTimeout(() => { gc(); setTimeout(() => { console.log(there(argv[0]), there(argv[1])); process.exit(); }, 50); }, 0);`;
    const outcome = await runChild(source, newLink().name, newLink().name);
    expect(outcome).toMatchObject({ code: 0, stdout: 'false true\n' });
  });

  test('that is a Worker and ends or is terminated takes the device with it', async () => {
    const source = `
      const { Worker } = require('worker_threads');
      const { existsSync } = require('fs');
      const { execFileSync } = require('child_process');
      const body = (then) => "const addon = require(require('worker_threads').workerData.path);" +
        "const tun = addon.tunOpen(require('worker_threads').workerData.name);" + then;
      const path = require.resolve(Object.keys(require.cache).find((each) => each.endsWith('.node')));
      const work = (then) => new Worker(body(then), { eval: true, workerData: { path, name: argv[0] } });
      const gone = (worker) => new Promise((resolve) => worker.on('exit', resolve));
      const notify = "require('worker_threads').parentPort.postMessage(0);";
      (async () => {
        for (let i = 0; i < 5; i++) {
          const forgetful = work('');
          await gone(forgetful);
          const started = work('addon.tunStart(tun, () => {});' + notify);
          await new Promise((resolve) => started.on('message', resolve));
          await Promise.all([gone(started), started.terminate()]);
          const exiting = work('addon.tunStart(tun, () => {}); addon.tunClose(tun); process.exit(0);');
          await gone(exiting);
          const busy = work('addon.tunStart(tun, () => {' + notify + ' for (;;); });' + notify);
          await new Promise((resolve) => busy.once('message', resolve));
          const entered = new Promise((resolve) => busy.once('message', resolve));
          execFileSync('env', ['-u', 'LD_PRELOAD', 'ip', 'link', 'set', 'dev', argv[0], 'up']);
          await entered;
          await Promise.all([gone(busy), busy.terminate()]);
        }
        console.log(existsSync('/sys/class/net/' + argv[0]));
      })();`;
    expect(await runChild(source, newLink().name)).toMatchObject({
      code: 0,
      signal: null,
      stdout: 'false\n',
    });
  });
});
