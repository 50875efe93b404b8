import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Firewall, openFirewall } from '../../../fabric/host/firewall.ts';
import { hostTable } from '../../../fabric/host/nftables.ts';
import { NO_SERVICES } from '../../../fabric/host/services.ts';
import type { KernelChange } from '../../../os/linux/netlink.ts';
import type { Change, Kernel, NftObject } from '../../../os/linux/network-config.ts';
import { Failure } from '../../../protocol/failure.ts';

const NAME = 'enf_fabric_tun9';
const TABLE = hostTable('tun9', NO_SERVICES);
const ALL = { ...NO_SERVICES, all: true };

/** A kernel that has tables only, as they were given. */
function tables() {
  const held = new Map<string, readonly NftObject[]>();
  const lines: string[] = [];
  let failure: Failure | undefined;
  let tell: (change: KernelChange) => void = () => {};
  let watchers = 0;
  const kernel = {
    filter: async (name: string) => {
      if (failure) throw failure;
      return held.get(name);
    },
    change: async (change: Change) => {
      if (failure) throw failure;
      if (change.kind !== 'filter') throw new Error(`unexpected ${change.kind}`);
      if (change.objects.length === 0) held.delete(change.name);
      else held.set(change.name, change.objects);
    },
  } as unknown as Kernel;
  return {
    held,
    lines,
    watchers: () => watchers,
    fail: (with_: Failure | undefined) => {
      failure = with_;
    },
    change: (table = NAME) => tell({ kind: 'filter', table }),
    lose: () => tell({ kind: 'lost' }),
    open: (services = NO_SERVICES, several = false): Promise<Firewall> =>
      openFirewall('tun9', services, (level, message) => lines.push(`${level} ${message}`), several, {
        kernel,
        watch: (filter, onChange) => {
          expect(filter).toBe(true);
          watchers++;
          tell = onChange;
          return { close: () => watchers-- };
        },
      }),
  };
}

const missing = new Failure('os.no-nftables', 'operator', 'the program "nft" is not installed', {
  action: 'Install the package nftables.',
});

describe('[H-A4] the firewall of a host', () => {
  test('holds from the start to the end', async () => {
    const host = tables();
    const firewall = await host.open();
    expect(host.held.get(NAME)).toEqual(TABLE);
    expect(await firewall.isInForce()).toBe(true);
    await firewall.close();
    expect([host.held.size, host.watchers(), host.lines]).toEqual([0, 0, []]);
  });

  test.each(['its table is changed', 'notifications are lost'])(
    'restores it when %s, and says so',
    async (how) => {
      const host = tables();
      const firewall = await host.open();
      host.held.set(NAME, TABLE.slice(0, 3));
      expect(await firewall.isInForce()).toBe(false);
      if (how === 'its table is changed') host.change();
      else host.lose();
      await expect.poll(() => host.held.get(NAME)).toEqual(TABLE);
      await firewall.close();
      expect(host.lines).toEqual([
        expect.stringMatching(/^warning nftables table inet enf_fabric_tun9 was changed/),
      ]);
    },
  );

  test("is not concerned by others' tables", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const host = tables();
    const firewall = await host.open();
    host.held.delete(NAME);
    host.change('others');
    // What another program changes is restored within two seconds.
    await vi.advanceTimersByTimeAsync(2_000);
    expect(host.held.size).toBe(0);
    host.change();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(host.held.get(NAME)).toEqual(TABLE);
    await firewall.close();
  });

  test('says when it cannot be restored, and tries again', async () => {
    const host = tables();
    const firewall = await host.open();
    host.held.clear();
    host.fail(missing);
    host.change();
    await expect.poll(() => host.lines).toHaveLength(1);
    expect(host.lines[0]).toMatch(/^error .* DEVICES REACH EVERY SERVICE .*not installed/);
    host.fail(undefined);
    await expect.poll(() => host.held.get(NAME)).toEqual(TABLE);
    await firewall.close();
  });

  test('fails closed: without nft nothing is started', async () => {
    const host = tables();
    host.fail(missing);
    await expect(host.open()).rejects.toMatchObject({
      code: 'fabric.host-not-closed',
      remedy: 'operator',
      message: expect.stringContaining('"nft" is not installed'),
      action: expect.stringMatching(/Install the package nftables.*--tun none.*--host-services all/),
    });
    expect(host.watchers()).toBe(0);
  });

  test('needs nft where there are other nodes, whatever is offered', async () => {
    const host = tables();
    host.fail(missing);
    await expect(host.open({ ...NO_SERVICES, all: true }, true)).rejects.toMatchObject({
      code: 'fabric.host-not-closed',
      message: expect.stringContaining('pretending to be devices of other nodes: the program "nft"'),
      action: expect.stringMatching(/Install the package nftables.*routes\.install/),
    });
    host.fail(undefined);
    const firewall = await host.open({ ...NO_SERVICES, all: true }, true);
    expect(JSON.stringify(host.held.get(NAME))).toContain('detours');
    await firewall.close();
  });

  test('needs no nft if everything is offered', async () => {
    const host = tables();
    host.fail(missing);
    const firewall = await host.open(ALL);
    expect(host.lines).toEqual([expect.stringMatching(/^warning .*not installed/)]);
    await firewall.close();
    expect(host.watchers()).toBe(0);
  });

  test('with everything offered still refuses forgeries, and nothing else', async () => {
    const host = tables();
    const firewall = await host.open(ALL);
    const chains = host.held.get(NAME)!.flatMap(({ chain }) => (chain as NftObject | undefined)?.name ?? []);
    expect(chains).toEqual(['arriving', 'forged_host']);
    await firewall.close();
  });
});
