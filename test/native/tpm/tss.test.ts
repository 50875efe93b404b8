import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import type { TssCommand, TssContext } from '../../../native/tpm/tss.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { runChild } from '../child.ts';

type Native = (...values: unknown[]) => unknown;
const native = addon() as unknown as Record<string, Native>;

/** Numbers and buffers of each command. */
const COMMANDS: Record<TssCommand, readonly [numbers: number, buffers: number]> = {
  open: [0, 1],
  startup: [0, 0],
  capability: [3, 0],
  testParameters: [0, 1],
  createPrimary: [2, 1],
  create: [2, 1],
  seal: [3, 3],
  unseal: [2, 0],
  load: [2, 2],
  commit: [2, 3],
  sign: [2, 2],
  evictControl: [4, 0],
  lookup: [1, 0],
  release: [1, 0],
  flush: [1, 0],
  flushHandle: [1, 0],
  setAuth: [1, 1],
  startSession: [0, 0],
  startPolicy: [0, 0],
  startSalted: [3, 0],
  policyCommand: [2, 0],
  policyAuthValue: [1, 0],
  policyPcr: [1, 1],
  policyDigest: [1, 0],
  policySecret: [3, 0],
  activateCredential: [4, 2],
  nvDefine: [2, 1],
  nvUndefine: [3, 0],
  nvWrite: [4, 1],
  nvRead: [4, 0],
  nvReadKnown: [3, 0],
};
const NAMES = Object.keys(COMMANDS) as TssCommand[];

let swtpm: Swtpm;
beforeAll(async () => {
  swtpm = await startSwtpm();
});
afterAll(() => swtpm.stop());

function start(): TssContext {
  const context = addon().tssStart();
  onTestFinished(async () => {
    await addon().tssStop(context);
  });
  return context;
}

async function opened(): Promise<TssContext> {
  const context = start();
  const answer = await addon().tssCall(context, 'open', [], [new TextEncoder().encode(swtpm.tcti)]);
  expect(answer).toEqual({ rc: 0, numbers: [], buffers: [] });
  return context;
}

describe('wrong arguments throw', () => {
  test.each([
    ['nothing', []],
    ['no context', [undefined, 'startup', [], []]],
    ['a plain object', [{}, 'startup', [], []]],
    ['a null', [null, 'startup', [], []]],
    ['a proxy of nothing', [new Proxy({}, {}), 'startup', [], []]],
  ])('tssCall with %s', (_, values) => {
    expect(() => native.tssCall!(...values)).toThrow(TypeError);
    for (const name of ['tssStop', 'tssAlive']) expect(() => native[name]!(...values)).toThrow(TypeError);
  });

  test('a TUN handle or another object of the addon is no context', () => {
    const socket = addon().socketOpen(4, 0, 0);
    expect(() => native.tssCall!(socket, 'startup', [], [])).toThrow(TypeError);
    expect(() => native.tssTlsKey!(socket, 1, new Uint8Array(65), 1)).toThrow(TypeError);
    addon().socketClose(socket);
  });

  test('of every command: counts, kinds and sizes', () => {
    const context = start();
    const call = (...values: unknown[]) => native.tssCall!(context, ...values);
    for (const name of NAMES) {
      const [n, b] = COMMANDS[name];
      const numbers = Array(n).fill(1);
      const buffers = Array(b).fill(new Uint8Array(1));
      expect(() => call(name, [...numbers, 1], buffers)).toThrow(TypeError);
      expect(() => call(name, numbers, [...buffers, new Uint8Array(1)])).toThrow(TypeError);
      expect(() => call(name, {}, buffers)).toThrow(TypeError);
      expect(() => call(name, numbers, undefined)).toThrow(TypeError);
      if (n > 0) {
        for (const wrong of [-1, 1.5, Number.NaN, 2 ** 32, '1', undefined, {}, 1n])
          expect(() => call(name, [wrong, ...numbers.slice(1)], buffers)).toThrow(TypeError);
      }
      if (b > 0) {
        for (const wrong of ['x', 1, null, new Uint16Array(2), new ArrayBuffer(2), new Uint8Array(100_000)])
          expect(() => call(name, numbers, [wrong, ...buffers.slice(1)])).toThrow(TypeError);
      }
    }
    for (const wrong of ['', 'nothing', 'sign\0', 'x'.repeat(1000), 1, undefined])
      expect(() => call(wrong, [], [])).toThrow(TypeError);
  });

  test('of tssTlsKey, tssTlsForget and tssDecode', () => {
    const context = start();
    for (const values of [
      [],
      [context],
      [context, 1, new Uint8Array(64), 1],
      [context, 1, new Uint8Array(65), -1],
      [context, 'x', new Uint8Array(65), 1],
      [context, 0xfff, new Uint8Array(65), 1],
      [{}, 1, new Uint8Array(65), 1],
    ])
      expect(() => native.tssTlsKey!(...values)).toThrow(TypeError);
    for (const wrong of [[], ['x'], [-1], [undefined]]) {
      expect(() => native.tssTlsForget!(...wrong)).toThrow(TypeError);
      expect(() => native.tssDecode!(...wrong)).toThrow(TypeError);
    }
    expect(addon().tssTlsForget(12345)).toBeUndefined();
    for (const rc of [0, 0x18b, 0x922, 0xa000a, 0xffffffff])
      expect(addon().tssDecode(rc)).toBeTypeOf('string');
  });

  test('getters that throw and arrays that shrink do no harm', () => {
    const context = start();
    const throwing = new Proxy([1, 2, 3], {
      get: (target, key) => {
        if (key === '1') throw new RangeError('no');
        return Reflect.get(target, key);
      },
    });
    expect(() => native.tssCall!(context, 'capability', throwing, [])).toThrow();
    const shrinking = [1, 2, 3];
    Object.defineProperty(shrinking, 0, {
      get: () => {
        shrinking.length = 1;
        return 1;
      },
    });
    expect(() => native.tssCall!(context, 'capability', shrinking, [])).toThrow(TypeError);
  });
});

describe('a context', () => {
  test('that is not open answers "bad sequence" to everything but open', async () => {
    for (const name of NAMES.filter((each) => each !== 'open')) {
      const context = start();
      const [n, b] = COMMANDS[name];
      const answer = await addon().tssCall(context, name, Array(n).fill(1), Array(b).fill(new Uint8Array(4)));
      expect(answer.rc).toBe(0x70007);
      expect(addon().tssAlive(context)).toBe(false);
    }
  });

  test('answers in order, also to what was queued at once', async () => {
    const context = await opened();
    const asked = Array.from({ length: 50 }, (_, i) =>
      addon().tssCall(context, 'capability', i % 2 ? [6, 0x105, 1] : [8, 0, 64], []),
    );
    const kinds = (await Promise.all(asked)).map((answer) => answer.buffers[0]![3]);
    expect(kinds).toEqual(Array.from({ length: 50 }, (_, i) => (i % 2 ? 6 : 8)));
  });

  test('gives plain Uint8Arrays of their own', async () => {
    const answer = await addon().tssCall(await opened(), 'capability', [6, 0x105, 1], []);
    const data = answer.buffers[0]!;
    expect(Object.getPrototypeOf(data)).toBe(Uint8Array.prototype);
    expect(data.buffer.byteLength).toBe(data.length);
  });

  test('that is stopped cancels what is queued and takes no more; stopping twice is fine', async () => {
    const context = await opened();
    const asked = Array.from({ length: 20 }, () => addon().tssCall(context, 'capability', [6, 0x105, 1], []));
    const stops = [addon().tssStop(context), addon().tssStop(context)];
    const codes = (await Promise.all(asked)).map((answer) => answer.rc);
    expect(codes.every((rc) => rc === 0 || rc === 0x70007)).toBe(true);
    expect(codes.at(-1)).toBe(0x70007);
    await Promise.all(stops);
    expect((await addon().tssCall(context, 'startup', [], [])).rc).toBe(0x70007);
    expect((await addon().tssStop(context)).rc).toBe(0);
    expect(addon().tssAlive(context)).toBe(false);
  });

  test('opens once', async () => {
    const context = await opened();
    const again = await addon().tssCall(context, 'open', [], [new TextEncoder().encode(swtpm.tcti)]);
    expect(again.rc).toBe(0x70007);
  });

  test('tells the errno of a device', async () => {
    const open = (path: string) =>
      addon().tssCall(start(), 'open', [], [new TextEncoder().encode(`device:${path}`)]);
    expect(await open('/dev/no-such-tpm')).toEqual({ rc: 0xa000a, numbers: [2], buffers: [] });
    expect((await open('/proc')).numbers).toEqual([21]);
  });

  test('whatever one asks, an answer comes and nothing crashes', async () => {
    const number = fc.oneof(
      fc.constantFrom(
        0,
        1,
        2,
        5,
        6,
        0xff,
        0x101,
        0x107,
        0x10c,
        0x40000000,
        0x40000001,
        0x81000001,
        0x01410000,
      ),
      fc.integer({ min: 0, max: 0xffffffff }),
    );
    const buffer = fc.uint8Array({ maxLength: 28 });
    const command = fc.constantFrom(...NAMES.filter((name) => name !== 'open')).chain((name) =>
      fc.record({
        name: fc.constant(name),
        numbers: fc.array(number, { minLength: COMMANDS[name][0], maxLength: COMMANDS[name][0] }),
        buffers: fc.array(buffer, { minLength: COMMANDS[name][1], maxLength: COMMANDS[name][1] }),
      }),
    );
    let context = await opened();
    await fc.assert(
      fc.asyncProperty(command, async ({ name, numbers, buffers }) => {
        fc.pre(!numbers.includes(0xfff));
        const answer = await addon().tssCall(context, name, numbers, buffers);
        expect(answer.rc).toBeTypeOf('number');
        if (addon().tssAlive(context)) return;
        await addon().tssStop(context);
        context = await opened();
      }),
      { numRuns: 400 },
    );
  });
});

describe('the end of the process', () => {
  const open = `
    const context = addon.tssStart();
    const tcti = new TextEncoder().encode(argv[0]);`;

  test.each([
    ['process.exit() with commands under way', 'setImmediate(() => process.exit(7));', 7],
    ['an exception with commands under way', 'setImmediate(() => { throw new Error("mine"); });', 1],
  ])('%s', async (_, ending, code) => {
    const child = await runChild(
      `${open}
      addon.tssCall(context, 'open', [], [tcti]);
      for (let i = 0; i < 2000; i++) addon.tssCall(context, 'capability', [6, 0x105, 1], []);
      ${ending}`,
      swtpm.tcti,
    );
    expect(child).toMatchObject({ code, signal: null });
  });

  test('the event loop ends by itself: answers keep it alive, an idle context does not', async () => {
    const child = await runChild(
      `${open}
      addon.tssCall(context, 'open', [], [tcti]).then(({ rc }) => console.log('rc', rc));`,
      swtpm.tcti,
    );
    expect(child).toMatchObject({ code: 0, signal: null, stdout: 'rc 0\n' });
  });

  test('Workers that end, are terminated or drop their context while commands are under way', async () => {
    const child = await runChild(
      `const { Worker } = require('node:worker_threads');
      const source = (ending) => \`
        const { workerData } = require('node:worker_threads');
        const addon = require(workerData.addon);
        let context = addon.tssStart();
        addon.tssCall(context, 'open', [], [new TextEncoder().encode(workerData.tcti)]).then(() => {
          for (let i = 0; i < 500; i++) addon.tssCall(context, 'capability', [6, 0x105, 1], []);
          \${ending}
        });\`;
      const endings = ['process.exit(0);', 'context = undefined;', 'setInterval(() => {}, 1000);', 'throw new Error("mine");'];
      (async () => {
        for (const ending of endings) {
          const worker = new Worker(source(ending), {
            eval: true,
            workerData: { addon: require.resolve(${JSON.stringify(process.env.ENF_ADDON ?? '')} || argv[1]), tcti: argv[0] },
          });
          worker.on('error', () => {});
          const exited = new Promise((resolve) => worker.once('exit', resolve));
          if (ending.startsWith('setInterval')) setTimeout(() => worker.terminate(), 150);
          await exited;
        }
        const context = addon.tssStart();
        const { rc } = await addon.tssCall(context, 'open', [], [new TextEncoder().encode(argv[0])]);
        console.log('rc', rc);
      })();`,
      swtpm.tcti,
      new URL('../../../dist/enf.node', import.meta.url).pathname,
    );
    expect(child).toMatchObject({ code: 0, signal: null, stdout: 'rc 0\n' });
  });

  test('contexts that nobody holds any more are collected and their threads end', async () => {
    const child = await runChild(
      `const { readdirSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      (async () => {
        const before = threads();
        for (let i = 0; i < 100; i++) addon.tssStart();
        const during = threads();
        for (let i = 0; i < 100 && threads() > before; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        console.log(during - before, threads() - before);
      })();`,
    );
    expect(child).toMatchObject({ code: 0, stdout: '100 0\n' });
  });
});
