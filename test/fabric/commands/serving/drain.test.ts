import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askControl } from '../../../../os/net/control-socket.ts';
import { parseTrust } from '../../../../protocol/identity/trust.ts';
import { ALPN_CONTROL } from '../../../../protocol/tunnel/wire.ts';
import { makeBatch } from '../../device.ts';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';
import { tunnel } from '../tunnel.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

/** A fabric that serves, and how a new device of it gets a tunnel; agents understand control messages, C peers do not. */
async function serving() {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, ...at);
  const { xttRoot, tlsRoot } = parseTrust(readFileSync(trust, 'utf8'));
  const batch = makeBatch();
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
  const served = await fabric.serve(data);
  const connected = async (kind: 'agent' | 'c') =>
    tunnel({
      ...{ root: xttRoot, gid: batch.gid, chip: await batch.chip(), ca: tlsRoot },
      ...{ port: served.tunnelPort, identityPort: served.identityPort },
      ...(kind === 'agent' && { alpn: [ALPN_CONTROL] }),
    });
  return { data, at, served, connected };
}

interface View {
  readonly draining: { since: string; within: number; retryAfter: number } | null;
  readonly tunnels: { agent: number; c: number };
}

describe('drain', () => {
  test('sends agents away and says who is left; it is shown, and ends by --resume', async () => {
    const { at, connected } = await serving();
    const show = () => fabric.json<View>('drain', '--show', ...at);
    expect(await show()).toEqual({ draining: null, tunnels: { agent: 0, c: 0 } });
    const peer = await connected('c');
    await connected('agent');
    await peer.until(async () => {
      const { tunnels } = await show();
      return tunnels.agent === 1 && tunnels.c === 1;
    });

    // This agent does not go: the command waits no longer than it was told to.
    const drained = await fabric.json<View>('drain', '--within', '1', '--retry-after', '7', ...at);
    expect(drained).toMatchObject({
      draining: { within: 1, retryAfter: 7, since: expect.any(String) },
      tunnels: { agent: 1, c: 1 },
    });
    const { out } = await fabric.run('drain', '--show', ...at);
    expect(out).toMatch(/^drained since \S+: 1 agent and 1 C peer have their tunnels here; .* 7 s after/);
    expect((await fabric.run('drain', '--resume', ...at)).out).toMatch(/^in service: 1 agent and 1 C peer/);
    expect((await show()).draining).toBeNull();
  });

  test('does not wait where no agent is, and a restart ends it', async () => {
    const { data, at, served } = await serving();
    expect(await fabric.json<View>('drain', '--within', '3600', ...at)).toMatchObject({
      draining: { within: 3_600, retryAfter: 10 },
    });
    await served.stop();
    await fabric.serve(data);
    expect((await fabric.json<View>('drain', '--show', ...at)).draining).toBeNull();
  });

  test('is refused without a fabric that serves, with times that are none, and with two wishes at once', async () => {
    const data = join(scratch(), 'fabric');
    const at = ['--data', data];
    await fabric.json('init', ...at);
    for (const args of [[], ['--show'], ['--resume']])
      expect(await fabric.refusal('drain', ...args, ...at)).toMatchObject({
        code: 'fabric.not-serving',
        message: 'no fabric is serving here',
      });
    for (const [name, value] of [
      ['--within', '3601'],
      ['--within', '-1'],
      ['--retry-after', '1.5'],
      ['--retry-after', 'soon'],
    ] as const)
      expect(await fabric.refusal('drain', `${name}=${value}`, ...at)).toMatchObject({
        code: 'cli.bad-value',
        message: `${name}: expected 0 to 3600 seconds, got ${value}`,
      });
    expect(await fabric.refusal('drain', '--show', '--resume', ...at)).toMatchObject({
      code: 'cli.bad-value',
    });
  });

  test('by the control socket takes whole seconds only', async () => {
    const { data, at } = await serving();
    const ask = (body: unknown) =>
      askControl(join(data, 'control.sock'), { method: 'POST', path: '/drain', body });
    for (const body of [
      {},
      null,
      { within: 1 },
      { within: 3_601, retryAfter: 0 },
      { within: '1', retryAfter: 0 },
    ])
      await expect(ask(body)).rejects.toMatchObject({
        code: expect.stringMatching(/^(control|fabric)\.bad-/),
      });
    expect((await fabric.json<View>('drain', '--show', ...at)).draining).toBeNull();
  });
});
