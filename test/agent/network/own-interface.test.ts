import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Policy } from '../../../agent/network/policy.ts';
import { createHost, type Host, type Program } from '../netns.ts';

// What others do to the interface of a tunnel that is up, over a real kernel.

const OWN = 'fd00:5::7';
const SPLIT: Policy = {
  mode: 'split',
  device: 'enf0',
  mtu: 1280,
  assignAddress: true,
  prefixes: [],
  table: 2097,
  mark: 0,
  allowIpv4: false,
  trusted: [],
};

let host: Host;
let program: Program;
beforeAll(() => {
  host = createHost('own-interface');
});
afterAll(() => host?.close());

const inHost = (...command: string[]): string => host.must(host.host, ...command);
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 50 });
const link = () => JSON.parse(inHost('ip', '-j', 'addr', 'show', 'dev', 'enf0'))[0];
/** As the agent made it: the same interface, up, with its address and route, and good to send from. */
const whole = (index: number): void => {
  const { ifindex, flags, mtu, addr_info } = link();
  expect([ifindex, flags.includes('UP'), mtu]).toEqual([index, true, 1280]);
  const address = addr_info.find((each: { local: string }) => each.local === OWN);
  expect(address).toMatchObject({ prefixlen: 128 });
  for (const flag of ['deprecated', 'tentative', 'dadfailed']) expect(address).not.toHaveProperty(flag);
  expect(inHost('ip', '-6', 'route', 'get', 'fd00:5::99')).toMatch(new RegExp(`dev enf0 .*src ${OWN}`));
};

for (const [mode, policy] of [
  ['split', SPLIT],
  ['lockdown', { ...SPLIT, mode: 'lockdown', mark: 363 }],
] as const) {
  describe(`[H-C7] ${mode}: what others do to the interface is undone`, () => {
    let index: number;
    beforeAll(async () => {
      program = await host.reconcile(policy, OWN);
      index = link().ifindex;
      whole(index);
    });
    afterAll(() => program.stop());

    for (const [what, ...commands] of [
      ['set down', ['ip', 'link', 'set', 'enf0', 'down']],
      ['renamed', ['ip', 'link', 'set', 'enf0', 'name', 'other0']],
      ['set down and renamed', ['ip', 'link', 'set', 'enf0', 'down', 'name', 'other0']],
      ['too small an MTU for IPv6', ['ip', 'link', 'set', 'enf0', 'mtu', '1000']],
      ['its address removed', ['ip', '-6', 'addr', 'del', `${OWN}/128`, 'dev', 'enf0']],
      [
        'its address deprecated',
        ['ip', '-6', 'addr', 'change', `${OWN}/128`, 'dev', 'enf0', 'preferred_lft', '0'],
      ],
      [
        'all of its addresses and routes',
        ['ip', '-6', 'addr', 'flush', 'dev', 'enf0'],
        ['ip', '-6', 'route', 'flush', 'dev', 'enf0'],
      ],
    ] as const) {
      test(what, async () => {
        for (const command of commands) inHost(...command);
        await until(() => whole(index));
        expect(program.output()).not.toContain('broken');
      });
    }
  });
}

describe('[H-C7] what cannot be undone is told, and nothing of others is touched', () => {
  beforeEach(async () => {
    program = await host.reconcile(SPLIT, OWN);
  });
  afterEach(() => program.stop());

  test('IPv6 switched off', async () => {
    inHost('sysctl', '-qw', 'net.ipv6.conf.enf0.disable_ipv6=1');
    await until(() => expect(program.output()).toMatch(/broken os\.ipv6-disabled: .*enf0/));
  });

  test('removed', async () => {
    inHost('ip', 'link', 'del', 'enf0');
    await until(() => expect(program.output()).toMatch(/broken os\.interface-changed: .*removed/));
  });

  test('moved to another network namespace', async () => {
    inHost('ip', 'link', 'set', 'enf0', 'netns', host.inner);
    await until(() => expect(program.output()).toMatch(/broken os\.interface-changed: .*namespace/));
  });

  test('renamed, and its name given to another interface', async () => {
    inHost('ip', 'link', 'set', 'enf0', 'down');
    const theirs = 'ip link set enf0 name mine0; ip link add enf0 type veth peer name peer1';
    inHost('sh', '-ec', theirs);
    await until(() => expect(program.output()).toMatch(/broken os\.interface-changed: .*mine0/));
    expect(link()).toMatchObject({ operstate: 'DOWN', addr_info: [] });
    inHost('ip', 'link', 'del', 'enf0');
  });
});
