import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { admit, openBatch, personalised } from '../batch.ts';
import { listenAsManager, type Manager } from '../manager.ts';
import { eventually } from '../process.ts';
import { type Device, program, type World } from '../world.ts';

/** Every 100 ms a sign of life is due. */
const WATCHDOG = { WATCHDOG_USEC: '200000' };
const pulses = (manager: Manager): number =>
  manager.messages().filter((each) => each === 'WATCHDOG=1').length;
/** Waits for a message, the first of which is number `from`. */
const said = (manager: Manager, text: string, from = 0): Promise<true> =>
  eventually(
    text,
    async () =>
      manager
        .messages()
        .slice(from)
        .some((each) => each.includes(text)) || undefined,
  );

/** Waits for so many further signs of life. */
async function beating(manager: Manager, count = 3): Promise<void> {
  const before = pulses(manager);
  await eventually('signs of life', async () => (pulses(manager) >= before + count ? true : undefined));
}

/** No sign of life in the time of fifteen; what was under way may still arrive before. */
async function expectSilence(manager: Manager): Promise<void> {
  await sleep(500);
  const before = pulses(manager);
  await sleep(1_500);
  expect(pulses(manager)).toBe(before);
}

describe('the agent’s messages to the service manager', () => {
  let world: World;
  let label: string;
  let device: Device;
  let manager: Manager;
  let runtime: string;

  beforeAll(async () => {
    const batch = await openBatch('service');
    ({ world, label } = batch);
    device = await personalised(world, batch.group, 1);
    device.configure({ tunnel: { 'heartbeat-period': '1s', 'heartbeat-timeout': '1s' } });
    runtime = join(world.folder, 'runtime');
    mkdirSync(runtime);
    manager = await listenAsManager(join(world.folder, 'notify'));
  });
  afterAll(async () => {
    manager?.close();
    await world?.close();
  });

  test('C-3 C-34 ready and live at once, although no fabric admits it', async () => {
    device.start({
      environment: { NOTIFY_SOCKET: manager.socket, RUNTIME_DIRECTORY: runtime, ...WATCHDOG },
    });
    await said(manager, 'READY=1');
    await said(manager, 'STATUS=backing-off: xtt.error-received');
    await beating(manager);
    expect(manager.messages().filter((each) => each === 'READY=1')).toHaveLength(1);
    expect(readdirSync(runtime)).toEqual(['offline']);
  });

  test('C-3 online when the address is bound', async () => {
    // The attempt that is under way may be the one that succeeds.
    const refused = manager.messages().findLastIndex((each) => each.startsWith('STATUS=backing-off'));
    await admit(world, label);
    await said(manager, 'STATUS=provisioning', refused);
    const { address } = await device.until('online', 60_000);
    await said(manager, `STATUS=online as ${address}`, refused);
    expect(readdirSync(runtime)).toEqual(['online']);
    await beating(manager);
  });

  test('C-3 C-34 offline when the fabric is gone, and still live', async () => {
    const before = manager.messages().length;
    await world.fabric.stop();
    await said(manager, 'STATUS=backing-off: net.', before);
    await eventually('offline', async () => (readdirSync(runtime)[0] === 'offline' ? true : undefined));
    await beating(manager);
    await world.fabric.serve();
    await eventually('online', async () => (readdirSync(runtime)[0] === 'online' ? true : undefined), 60_000);
  });

  test('stopping is reported, and sets the flag "offline"', async () => {
    await device.stop();
    const messages = manager.messages();
    expect(messages.at(-1)).toBe('STATUS=stopped');
    expect(messages).toContain('STOPPING=1');
    expect(messages.slice(messages.indexOf('STOPPING=1'))).not.toContain('WATCHDOG=1');
    expect(readdirSync(runtime)).toEqual(['offline']);
  });
});

describe('C-34 the watchdog', () => {
  let folder: string;
  let manager: Manager;
  let agent: ChildProcess | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'enf-watchdog-'));
    manager = await listenAsManager(join(folder, 'notify'));
  });
  afterEach(() => {
    agent?.kill('SIGKILL');
    manager.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts the program with a mischief that SIGUSR2 triggers. */
  function start(mischief: string, identity: string): ChildProcess {
    const config = join(folder, 'agent.toml');
    const preload = join(folder, 'mischief.mjs');
    writeFileSync(
      config,
      `[remote]\nhosts = ["127.0.0.1"]\n[tpm]\ntcti = "device:${folder}/no-tpm"\n[identity]\n${identity}\n[state]\ndirectory = "${folder}/state"\n[control]\nsocket = "${folder}/c.sock"\n`,
    );
    writeFileSync(preload, `process.on('SIGUSR2', () => { ${mischief} });`);
    const [node, bundle] = program('agent');
    return spawn(node!, ['--import', preload, bundle!, 'run', '--config', config], {
      env: { ...process.env, NOTIFY_SOCKET: manager.socket, ...WATCHDOG },
      stdio: 'ignore',
    });
  }

  test('without a TPM it is live', async () => {
    agent = start('', 'mode = "tpm"');
    await said(manager, 'STATUS=backing-off: tpm.absent');
    agent.kill('SIGUSR2');
    await beating(manager, 10);
  });

  test('a blocked event loop sends no keep-alive', async () => {
    agent = start('for (;;);', 'mode = "tpm"');
    await said(manager, 'STATUS=backing-off: tpm.absent');
    await beating(manager);
    agent.kill('SIGUSR2');
    await expectSilence(manager);
  });

  test('a lifecycle that no longer advances sends no keep-alive, although the event loop runs', async () => {
    // Opening a FIFO that nobody writes to never ends, like a file on a server that went away.
    const files = ['daa_gpk.bin', 'daa_cred.bin', 'basename.bin', 'root_cert.bin', 'tls_root.pem'];
    execFileSync(
      'mkfifo',
      files.map((name) => join(folder, name)),
    );
    const later = 'const now = performance.now.bind(performance); performance.now = () => now() + 3_600_000;';
    agent = start(later, `mode = "software"\ncredential-dir = "${folder}"`);
    await said(manager, 'STATUS=provisioning');
    await beating(manager);
    agent.kill('SIGUSR2');
    await expectSilence(manager);
    expect(agent.exitCode).toBeNull();
  });
});
