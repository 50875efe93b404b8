import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { objectOf, openTpm, type Tpm, type TpmOptions } from '../../tpm/context.ts';
import { createLongterm, loadLongterm } from '../../tpm/longterm.ts';
import { isCurrent } from '../../tpm/objects.ts';
import { STORAGE_TEMPLATE } from '../../tpm/templates.ts';
import { handlesIn, LOADED_SESSIONS, openForTest, swtpmForTest, TRANSIENT, tpm2 } from './fixture.ts';
import { CC, type FaultyTpm, faultyTpm } from './proxy.ts';

const QUESTION = ['capability', [6, 0x105, 1]] as const;
const OWNER = 0x101;

async function behindProxy(options?: TpmOptions): Promise<{ tpm: Tpm; proxy: FaultyTpm; port: number }> {
  const swtpm = await swtpmForTest();
  const proxy = await faultyTpm(swtpm.port);
  return { tpm: await openForTest(proxy.tcti, options), proxy, port: swtpm.port };
}

describe('a busy TPM', () => {
  // ESYS repeats RETRY, YIELDED and TESTING a few times by itself, without a pause.
  test.each([1, 2, 3, 4, 5, 6, 7, 10, 20])('that answers RETRY %i times is asked again', async (times) => {
    const { tpm, proxy } = await behindProxy();
    proxy.inject(CC.getCapability, { kind: 'answer', rc: 0x922 }, times);
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
    expect(proxy.commands.filter((code) => code === CC.getCapability).length).toBe(3 + times + 1);
  });

  test.each([
    ['YIELDED', 0x908],
    ['TESTING', 0x90a],
    ['NV_RATE', 0x920],
  ])('that answers %s is asked again', async (_, rc) => {
    const { tpm, proxy } = await behindProxy();
    proxy.inject(CC.getCapability, { kind: 'answer', rc }, 8);
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
  });

  test('[C-25] that stays busy beyond the retry time is reported as busy', async () => {
    const { tpm, proxy } = await behindProxy({ retryMs: 50 });
    proxy.inject(CC.getCapability, { kind: 'answer', rc: 0x922 }, 1_000_000);
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.busy', remedy: 'retry' });
  });

  test('[C-25] that is slow does not block the event loop', async () => {
    const { tpm, proxy } = await behindProxy();
    proxy.inject(CC.getCapability, { kind: 'delay', ms: 300 });
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await tpm.call(...QUESTION);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  test('[C-25] that is slow is waited for, and commands keep their order', async () => {
    const { tpm, proxy } = await behindProxy();
    proxy.inject(CC.getCapability, { kind: 'delay', ms: 300 });
    const answers = await Promise.all([tpm.call(...QUESTION), tpm.call('capability', [8, 0, 64])]);
    expect(answers.map((answer) => answer.buffers[0]![3])).toEqual([6, 8]);
  });
});

describe('failures that the TPM reports', () => {
  test.each([
    [0x101, 'tpm.defective'],
    [0x902, 'tpm.no-slots'],
    [0x14b, 'tpm.nv-full'],
    [0x9a2, 'tpm.not-authorised'],
    [0x100, 'tpm.lost'],
    [0x910, 'tpm.lost'],
    [0x184, 'tpm.refused'],
  ])('rc %i becomes a failure with a code', async (rc, code) => {
    const { tpm, proxy } = await behindProxy();
    proxy.inject(CC.getCapability, { kind: 'answer', rc });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code });
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
  });

  test('[C-26] a lockout reports its longest duration', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'dictionarylockout', '-s', '-n', '3', '-t', '1234', '-l', '60');
    const proxy = await faultyTpm(swtpm.port);
    const tpm = await openForTest(proxy.tcti);
    const { pem } = await createLongterm(tpm);
    const key = await loadLongterm(tpm, pem);
    proxy.inject(CC.sign, { kind: 'answer', rc: 0x921 });
    await expect(key.sign(new Uint8Array(1))).rejects.toMatchObject({
      code: 'tpm.lockout',
      remedy: 'operator',
      message: expect.stringContaining('1234 s'),
    });
    await key.sign(new Uint8Array(1));
  });

  test('[C-26] a real lockout does not affect our keys', async () => {
    const swtpm = await swtpmForTest();
    tpm2(swtpm, 'dictionarylockout', '-s', '-n', '2', '-t', '1000', '-l', '60');
    tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx', '-p', 'right');
    for (let wrong = 0; wrong < 4; wrong++) {
      const attempt = () =>
        tpm2(swtpm, 'create', '-C', 'p.ctx', '-P', 'wrong', '-G', 'ecc', '-u', 'u', '-r', 'r');
      expect(attempt).toThrow();
      tpm2(swtpm, 'flushcontext', '-t');
    }
    expect(tpm2(swtpm, 'getcap', 'properties-variable')).toMatch(/inLockout:\s+1/);
    const tpm = await openForTest(swtpm.tcti);
    const { pem } = await createLongterm(tpm);
    expect((await (await loadLongterm(tpm, pem)).sign(new Uint8Array(1))).length).toBe(64);
  });
});

describe('a broken connection', () => {
  test('during a command is a retry; the next command opens it again', async () => {
    const { tpm, proxy } = await behindProxy();
    const generation = tpm.generation;
    proxy.inject(CC.getCapability, { kind: 'drop' });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.failed', remedy: 'retry' });
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
    expect(tpm.generation).toBe(generation + 1);
  });

  test('an object of the old connection is refused, not mistaken for another', async () => {
    const { tpm, proxy } = await behindProxy();
    const object = objectOf(await tpm.call('createPrimary', [0, OWNER], [STORAGE_TEMPLATE]));
    proxy.inject(CC.getCapability, { kind: 'drop' });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.failed' });
    await expect(tpm.call('flush', [object])).rejects.toMatchObject({ code: 'tpm.lost' });
    // It was left in the TPM; opening anew flushed it.
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });

  test('[C-25] a TPM that never answers exceeds the deadline, and another attempt succeeds', async () => {
    const { tpm, proxy } = await behindProxy({ timeoutMs: 500 });
    proxy.inject(CC.getCapability, { kind: 'hang' });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.timeout', remedy: 'retry' });
    proxy.release();
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
  });

  test('after four blocked threads only a new process helps', async () => {
    const { tpm, proxy } = await behindProxy({ timeoutMs: 200 });
    proxy.inject(CC.getCapability, { kind: 'hang' }, 100);
    for (let i = 0; i < 4; i++)
      await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.timeout' });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ code: 'tpm.stuck', remedy: 'operator' });
    proxy.release();
    await expect.poll(() => tpm.call(...QUESTION).catch((error) => error.code)).not.toBe('tpm.stuck');
  });

  test.each([
    ['nothing but zeros', new Uint8Array(16)],
    ['an answer that claims to be 4 GB', Uint8Array.of(0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)],
    ['an answer that claims to be 5 bytes', Uint8Array.of(0x80, 1, 0, 0, 0, 5, 0, 0, 0, 0)],
    ['success without content', Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0)],
    ['a count beyond its end', Uint8Array.of(0x80, 1, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 0)],
    ['another tag', Uint8Array.of(0x12, 0x34, 0, 0, 0, 10, 0, 0, 0, 0)],
    ['a session answer to a plain command', Uint8Array.of(0x80, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0)],
  ])('garbage (%s) is a failure, and another try works', async (_, bytes) => {
    const { tpm, proxy } = await behindProxy({ timeoutMs: 1_000 });
    proxy.inject(CC.getCapability, { kind: 'bytes', bytes });
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({
      code: expect.stringMatching(/^tpm\.(failed|timeout|refused)$/),
      remedy: 'retry',
    });
    proxy.release();
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
  });

  test('random responses never crash', async () => {
    const { tpm, proxy } = await behindProxy({ timeoutMs: 300 });
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 60; round++) {
      const bytes = Uint8Array.from({ length: 10 + random(100) }, () => random(256));
      new DataView(bytes.buffer).setUint32(2, bytes.length);
      bytes.set(random(2) ? [0x80, 1] : [0x80, 2]);
      bytes.fill(0, 6, 10);
      proxy.inject(CC.getCapability, { kind: 'bytes', bytes });
      await tpm.call(...QUESTION).catch((error) => expect(error.code).toMatch(/^tpm\./));
    }
    proxy.release();
    await expect.poll(() => tpm.call(...QUESTION).then((answer) => answer.rc, String)).toBe(0);
  });

  test('a TPM killed in the middle of a command', async () => {
    const swtpm = await swtpmForTest();
    const proxy = await faultyTpm(swtpm.port);
    const tpm = await openForTest(proxy.tcti, { timeoutMs: 2_000 });
    proxy.inject(CC.getCapability, { kind: 'delay', ms: 200 });
    const asked = tpm.call(...QUESTION);
    const refused = expect(asked).rejects.toMatchObject({ code: 'tpm.failed' });
    await swtpm.kill();
    await refused;
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ remedy: 'retry' });
    await swtpmForTest({ state: swtpm.state, port: swtpm.port });
    expect((await tpm.call(...QUESTION)).rc).toBe(0);
  });

  test('what was loaded before is gone also while the TPM is opened again', async () => {
    const swtpm = await swtpmForTest();
    const proxy = await faultyTpm(swtpm.port);
    const tpm = await openForTest(proxy.tcti);
    const object = objectOf(await tpm.call('createPrimary', [0, OWNER], [STORAGE_TEMPLATE]));
    expect(isCurrent(tpm, object)).toBe(true);
    await swtpm.kill();
    await expect(tpm.call(...QUESTION)).rejects.toMatchObject({ remedy: 'retry' });
    await swtpmForTest({ state: swtpm.state, port: swtpm.port });
    proxy.inject(CC.startup, { kind: 'delay', ms: 500 });
    const asked = tpm.call(...QUESTION);
    await expect.poll(() => tpm.alive).toBe(true);
    expect(isCurrent(tpm, object)).toBe(false);
    expect((await asked).rc).toBe(0);
  });
});

describe('opening', () => {
  test('[C-29] flushes what a killed predecessor left', async () => {
    const swtpm = await swtpmForTest();
    const proxy = await faultyTpm(swtpm.port);
    const first = await openTpm(proxy.tcti);
    for (let i = 0; i < 3; i++) await first.call('createPrimary', [0, OWNER], [STORAGE_TEMPLATE]);
    await first.call('startSession');
    expect(await handlesIn(first, TRANSIENT)).toBe(3);
    expect(await handlesIn(first, LOADED_SESSIONS)).toBe(1);
    proxy.release();
    const second = await openForTest(swtpm.tcti);
    expect(await handlesIn(second, TRANSIENT)).toBe(0);
    expect(await handlesIn(second, LOADED_SESSIONS)).toBe(0);
    await first.close();
  });

  test('[C-28] a device that does not exist, and a file that is not a device', async () => {
    await expect(openTpm('device:/dev/no-such-tpm')).rejects.toMatchObject({
      code: 'tpm.absent',
      remedy: 'retry',
      message: expect.stringContaining('/dev/no-such-tpm'),
    });
    await expect(openTpm('nosuchtcti:x')).rejects.toMatchObject({ code: 'tpm.absent' });
    await expect(openTpm('')).rejects.toMatchObject({ code: expect.stringMatching(/^tpm\./) });
    await expect(openTpm('device:/dev/null', { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^tpm\./),
    });
  });

  test('a simulator that is not running is absent', async () => {
    const swtpm = await swtpmForTest();
    await swtpm.stop();
    await expect(openTpm(swtpm.tcti)).rejects.toMatchObject({ code: 'tpm.absent' });
  });

  test('while another program holds the only connection exceeds the deadline', async () => {
    const swtpm = await swtpmForTest();
    const other = connect(swtpm.port, '127.0.0.1');
    await new Promise((resolve) => other.once('connect', resolve));
    await expect(openTpm(swtpm.tcti, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'tpm.timeout' });
    other.destroy();
    await openForTest(swtpm.tcti);
  });

  test('a closed TPM takes no more commands', async () => {
    const swtpm = await swtpmForTest();
    const tpm = await openTpm(swtpm.tcti);
    await tpm.close();
    await tpm.close();
    await expect(tpm.call(...QUESTION)).rejects.toThrow('closed');
  });
});
