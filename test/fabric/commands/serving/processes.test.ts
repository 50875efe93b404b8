import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionLimits } from '../../../../fabric/identity/start.ts';
import { parseTrust } from '../../../../protocol/identity/trust.ts';
import { type Batch, makeBatch, provision } from '../../device.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();
let folder: string;
let data: string;
let batch: Batch;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'enf-processes-'));
  data = join(folder, 'fabric');
  batch = makeBatch();
  writeFileSync(join(folder, 'label'), batch.label);
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:8f80:8000:1::/64', '--data', data);
  const label = ['--label', join(folder, 'label'), '--network', 'fd00:8f80:8000:1::/64'];
  await fabric.json('group', 'add', ...label, '--data', data);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const root = (): Uint8Array => parseTrust(readFileSync(join(data, 'trust.json'), 'utf8')).xttRoot;

/** The identity processes of the fabric that serves this folder. */
function workers(): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
  const parent = lines
    .find((line) => line.includes(data) && / serve /.test(line))
    ?.trim()
    .split(/\s+/)[0];
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, ...words]) => ppid === parent && words.at(-1) === 'identity-process')
    .map(([pid]) => Number(pid));
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Tries until it works: a device's back-off in short. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await attempt();
    } catch (error) {
      if (i >= 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

describe('several processes on one registry', () => {
  test('devices are admitted by all of them, and one that dies is replaced', async () => {
    const serving = await fabric.serve(data, '--processes', '2');
    const first = workers();
    expect(first).toHaveLength(2);
    const attempt = async () => ({
      port: serving.identityPort,
      root: root(),
      gid: batch.gid,
      chip: await batch.chip(),
    });
    const identities = await Promise.all(Array.from({ length: 12 }, async () => provision(await attempt())));
    expect(new Set(identities.map(({ identity }) => String(identity))).size).toBe(12);
    const again = await attempt();
    const known = await provision(again);
    expect((await provision(again)).identity).toEqual(known.identity);

    process.kill(first[0]!, 'SIGKILL');
    await eventually(async () => provision(await attempt()));
    while (workers().length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(serving.log()).toContain(`identity process ${first[0]} ended (SIGKILL)`);

    // What the command line changes holds in every process at once.
    await fabric.json('group', 'suspend', Buffer.from(batch.gid).toString('hex'), '--data', data);
    for (let i = 0; i < 6; i++)
      await expect(provision(await attempt())).rejects.toMatchObject({ code: 'xtt.error-received' });
    await fabric.json('group', 'resume', Buffer.from(batch.gid).toString('hex'), '--data', data);
    await provision(await attempt());

    const last = workers();
    expect(await serving.stop('SIGTERM')).toBe(0);
    expect(last.filter(alive)).toEqual([]);
    expect((await fabric.json<unknown[]>('device', 'list', '--data', data)).length).toBe(15);
  });

  test('they end when the fabric is killed', async () => {
    const serving = await fabric.serve(data, '--processes', '2');
    const pids = workers();
    await serving.stop('SIGKILL');
    while (pids.some(alive)) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  test('an identity process is not for the command line', async () => {
    const { code, err } = await fabric.run('identity-process');
    expect(code).not.toBe(0);
    expect(err).toContain('enf-fabric serve --processes');
  });

  test.each([['0'], ['65'], ['two'], ['-1']])('--processes %s is refused', async (processes) => {
    expect(
      await fabric.refusal('serve', '--tun', 'none', '--data', data, `--processes=${processes}`),
    ).toMatchObject({
      code: 'cli.bad-option',
    });
  });
});

describe('how many connections', () => {
  test('as many as asked for, shared among the processes, if there are descriptors for them', () => {
    expect(connectionLimits(10_000, 1, 20_000).total).toBe(10_000);
    expect(connectionLimits(10_000, 4, 20_000).total).toBe(2_500);
    expect(() => connectionLimits(20_000, 1, 20_000)).toThrow(
      expect.objectContaining({
        code: 'fabric.too-few-descriptors',
        message: expect.stringContaining('20512'),
      }),
    );
    expect(connectionLimits(20_000, 2, 20_000).total).toBe(10_000);
  });

  test('by default what the system allows, up to 16,384', () => {
    expect(connectionLimits(undefined, 1, 1_000_000).total).toBe(16_384);
    expect(connectionLimits(undefined, 1, 1_024).total).toBe(512);
    expect(connectionLimits(undefined, 1, 100).total).toBe(1);
  });

  test('too many are refused before anything is bound', async () => {
    const words = ['serve', '--tun', 'none', '--data', data, '--max-connections', '999999'];
    expect(await fabric.refusal(...words)).toMatchObject({ code: 'fabric.too-few-descriptors' });
  });
});
