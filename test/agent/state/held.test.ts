import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { holdState } from '../../../agent/state/held.ts';
import { stateSession } from '../../../agent/state/session.ts';
import { systemLookup } from '../../../os/net/lookup.ts';
import { systemClocks } from '../../../os/service/process.ts';
import { bundle } from '../../bundle.ts';
import { temporaryFolder } from '../folders.ts';

const place = mkdtempSync(join(tmpdir(), 'enf-held-'));
const program = join(place, 'child.mjs');
beforeAll(() => bundle(new URL('./held-child.ts', import.meta.url), program));
afterAll(() => rmSync(place, { recursive: true }));

/** Another program that wants the state: what it says, and its end by a signal. */
async function other(folder: string) {
  const env = { ...process.env, ENF_ADDON: new URL('../../../dist/enf.node', import.meta.url).pathname };
  const child = fork(program, [folder], { env, execArgv: [] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [says] = (await once(child, 'message')) as [string];
  return {
    says,
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const session = (directory: string) =>
  stateSession({
    config: parseConfig(`[remote]\nhosts = ["f"]\n[state]\ndirectory = "${directory}"`, 'test'),
    ...{ clocks: systemClocks, resolver: systemLookup, log: () => {}, note: () => {} },
  });

test('an agent does not open what a command has, and opens it when that was killed', async () => {
  const folder = join(temporaryFolder(), 'state');
  const command = await other(folder);
  expect(command.says).toBe('held');
  const agent = session(folder);
  await expect(agent.store()).rejects.toMatchObject({ code: 'state.in-use', remedy: 'retry' });
  expect(agent.opened()).toBeUndefined();
  await command.kill();
  await (await agent.store()).save({ pending: { kind: 'software', der: 'aa' } });
  expect(readdirSync(folder)).toEqual(['state-0']);
  await agent.close();
});

test('a command does not get what an agent has, until that has ended', async () => {
  const folder = temporaryFolder();
  const agent = session(folder);
  await agent.store();
  expect((await other(folder)).says).toBe('state.in-use');
  await agent.close();
  expect((await other(folder)).says).toBe('held');
});

test('a folder that cannot be written is held all the same, and one that cannot be is named', async () => {
  const folder = temporaryFolder();
  chmodSync(folder, 0o500);
  const held = await holdState(folder);
  await expect(holdState(folder)).rejects.toMatchObject({ code: 'state.in-use' });
  await held.release();
  await expect(holdState('/proc/self/status')).rejects.toMatchObject({ code: 'os.no-folder' });
  // A failure keeps nothing.
  await (await holdState(folder)).release();
});
