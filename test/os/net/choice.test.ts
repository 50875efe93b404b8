import { describe, expect, test } from 'vitest';
import { type ChoiceOptions, FORGET_MS, hostChoice, hostsInOrder, judged } from '../../../os/net/choice.ts';
import type { Endpoint, Place } from '../../../os/net/service.ts';

const at = (host: string, port = 443): Endpoint => ({ host, port });
const SERVICE = '_enf._tcp.example.org';

/** A choice with a clock that the test moves; `order` is what is tried now. */
function made(hosts: readonly string[], more: Partial<ChoiceOptions> = {}) {
  let now = 1_000;
  const choice = hostChoice({
    ...{ hosts, port: 443, timeoutMs: 1_000, clock: () => now, chance: () => 0 },
    lookup: () => Promise.reject(new Error('NXDOMAIN')),
    ...more,
  });
  const order = async (): Promise<string> =>
    (await choice.next()).map(({ host, port }) => (port === 443 ? host : `${host}:${port}`)).join(' ');
  return { choice, order, pass: (ms: number) => (now += ms) };
}

describe('the order in which a program begins', () => {
  const shuffled = (...hosts: string[]) => hostsInOrder(hosts, 'spread', Math.random);

  test('is that of the list where it is to be', () => {
    const never = () => {
      throw new Error('no chance');
    };
    expect(hostsInOrder(['b', 'a', '192.0.2.1', 'c'], 'listed', never)).toEqual(['b', 'a', '192.0.2.1', 'c']);
  });

  test('is else another one for each, equally often', () => {
    const first = new Map<string, number>();
    for (let i = 0; i < 6_000; i++) {
      const order = shuffled('a', 'b', 'c');
      expect([...order].sort()).toEqual(['a', 'b', 'c']);
      first.set(order.join(' '), (first.get(order.join(' ')) ?? 0) + 1);
    }
    // 1,000 each are expected, with a deviation of 29.
    expect([...first.values()].filter((times) => times > 800 && times < 1_200)).toHaveLength(6);
  });

  test('leaves services where they are, and addresses behind names', () => {
    const list = ['a', 'b', '192.0.2.1', '2001:db8::1', SERVICE, '_enf._tcp.example.net', 'c', 'd'];
    const seen = Array.from({ length: 8 }, () => new Set<string>());
    for (let i = 0; i < 500; i++)
      for (const [place, host] of shuffled(...list).entries()) seen[place]!.add(host);
    expect(seen.map((each) => [...each].sort().join(' '))).toEqual([
      ...['a b', 'a b', '192.0.2.1 2001:db8::1', '192.0.2.1 2001:db8::1'],
      ...[SERVICE, '_enf._tcp.example.net', 'c d', 'c d'],
    ]);
    expect(shuffled()).toEqual([]);
    expect(shuffled('a')).toEqual(['a']);
  });
});

describe('several hosts', () => {
  test('are tried in their order, without a resolver', async () => {
    expect(await made(['b', 'a', '192.0.2.1']).order()).toBe('b a 192.0.2.1');
  });

  test('one that failed is the last one, not for ever, and not once it works', async () => {
    const { choice, order, pass } = made(['a', 'b', 'c']);
    choice.failed(at('a'));
    expect(await order()).toBe('b c a');
    pass(FORGET_MS - 1);
    expect(await order()).toBe('b c a');
    pass(1);
    expect(await order()).toBe('a b c');
    choice.failed(at('b'));
    expect(await order()).toBe('a c b');
    choice.worked(at('b'));
    expect(await order()).toBe('a b c');
  });

  test('of those that all failed, the one comes first whose failure is the oldest', async () => {
    const { choice, order, pass } = made(['a', 'b', 'c']);
    for (const host of ['b', 'a', 'c']) {
      choice.failed(at(host));
      pass(1);
    }
    expect(await order()).toBe('b a c');
    choice.failed(at('b'));
    expect(await order()).toBe('a c b');
  });

  test('one is tried also if it failed', async () => {
    const { choice, order } = made(['a']);
    choice.failed(at('a'));
    expect(await order()).toBe('a');
  });

  test('one that has refused for a while is left out until then, and tried last for longer', async () => {
    const { choice, order, pass } = made(['a', 'b', 'c']);
    choice.refused(at('a'), 30_000);
    expect(await order()).toBe('b c');
    pass(29_999);
    choice.failed(at('a'));
    expect(await order()).toBe('b c');
    pass(1);
    expect(await order()).toBe('b c a');
    choice.refused(at('b'), 30_000);
    choice.worked(at('b'));
    expect(await order()).toBe('b c a');
  });

  test('those that have all refused are tried nonetheless, and none is left out for longer than failures count', async () => {
    const { choice, order, pass } = made(['a', 'b']);
    choice.refused(at('a'), Number.MAX_SAFE_INTEGER);
    pass(1);
    choice.refused(at('b'), 30_000);
    expect(await order()).toBe('a b');
    pass(30_000);
    expect(await order()).toBe('b');
    pass(FORGET_MS);
    expect(await order()).toBe('a b');
  });

  test('nor is it for that if it fails meanwhile', async () => {
    const { choice, order, pass } = made(['a', 'b']);
    choice.refused(at('a'), Number.MAX_SAFE_INTEGER);
    pass(FORGET_MS - 1);
    choice.failed(at('a'));
    expect(await order()).toBe('b');
    pass(1);
    expect(await order()).toBe('b a');
  });

  test('one that names no time is left out for some seconds, so that nobody goes round in circles', async () => {
    const { choice, order, pass } = made(['a', 'b']);
    choice.refused(at('a'), 0);
    expect(await order()).toBe('b');
    pass(5_000);
    expect(await order()).toBe('b a');
  });

  test('of any number of failures a few are remembered', async () => {
    const { choice, order } = made(['a', 'b']);
    choice.failed(at('a'));
    for (let i = 0; i < 100; i++) choice.failed(at(`h${i}`));
    expect(await order()).toBe('a b');
  });
});

describe('services', () => {
  const lookup = async (name: string): Promise<string[]> =>
    name === SERVICE ? ['20 0 443 far.example.org', '10 0 4443 near.example.org', 'nonsense'] : [];

  test('become the hosts of their records with their ports, by priority, each once, beside others', async () => {
    expect(await made([SERVICE, 'a'], { lookup }).order()).toBe('near.example.org:4443 far.example.org a');
    expect(await made([SERVICE, 'far.example.org', SERVICE], { lookup }).order()).toBe(
      'near.example.org:4443 far.example.org',
    );
  });

  test('have one port where another program is asked for', async () => {
    expect(await made([SERVICE], { lookup, port: 444, everywhere: true }).order()).toBe(
      'near.example.org:444 far.example.org:444',
    );
  });

  test('one of their hosts that failed is tried last', async () => {
    const { choice, order } = made([SERVICE], { lookup });
    choice.failed(at('near.example.org', 4443));
    expect(await order()).toBe('far.example.org near.example.org:4443');
  });

  test.each([
    ['has no record', async () => []],
    ['does not exist', () => Promise.reject(new Error('NXDOMAIN'))],
    ['says that it is not there', async () => ['0 0 443 .']],
    ['is not answered', () => new Promise<string[]>(() => {})],
  ])('one that %s leaves the other hosts, and is a failure alone', async (_, answer) => {
    const options = { lookup: answer, timeoutMs: 10 };
    expect(await made([SERVICE, 'a'], options).order()).toBe('a');
    await expect(made([SERVICE], options).order()).rejects.toMatchObject({
      code: 'net.no-such-host',
      message: `no SRV record found for ${SERVICE}`,
    });
  });

  test('no more than 32 endpoints are tried', async () => {
    const hosts = Array.from({ length: 40 }, (_, i) => `h${i}`);
    expect((await made(hosts).choice.next()).length).toBe(32);
  });
});

describe('the addresses of one name', () => {
  const NAME = at('enf.example.org');
  const V6 = ['2001:db8::1', '2001:db8::2', '2001:db8::3'];
  const V4 = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
  /** Nothing changes places. */
  const still = { chance: () => 1 - 2 ** -30 };
  const groups = (choice: ReturnType<typeof hostChoice>, found: readonly string[], without?: Place): string =>
    choice
      .addresses(NAME, found, without)
      .map((group) => group.join(' '))
      .join(' | ');
  /** Where an attempt has led to, as dial says it. */
  const place = (address: string, ...peers: string[]): Place => ({ ...NAME, address, peers });

  test('are tried in parallel, each equally often the first', () => {
    const { choice } = made(['enf.example.org'], { chance: Math.random });
    const first = new Map<string, number>();
    for (let i = 0; i < 3_000; i++) {
      const [group, ...more] = choice.addresses(NAME, [...V4, V4[0]!]);
      expect(more).toEqual([]);
      expect([...group!].sort()).toEqual(V4);
      first.set(group![0]!, (first.get(group![0]!) ?? 0) + 1);
    }
    // 1,000 each are expected, with a deviation of 26.
    expect([...first.values()].filter((times) => times > 800 && times < 1_200)).toHaveLength(3);
  });

  test('of two families take turns, the family first that the resolver has first', () => {
    const { choice } = made(['enf.example.org'], still);
    expect(groups(choice, [...V6, V4[0]!])).toBe('2001:db8::1 192.0.2.1 2001:db8::2 2001:db8::3');
    expect(groups(choice, [V4[0]!, V4[1]!, V6[0]!])).toBe('192.0.2.1 2001:db8::1 192.0.2.2');
    expect(groups(choice, [])).toBe('');
  });

  test('one that has not served is tried when all others lead nowhere, whatever its family, and not for ever', () => {
    const { choice, pass } = made(['enf.example.org'], still);
    choice.failed(place(V6[0]!, V6[1]!));
    expect(groups(choice, [V6[0]!, V6[1]!, V4[0]!])).toBe('2001:db8::2 192.0.2.1 | 2001:db8::1');
    expect(groups(choice, [V6[0]!, V4[0]!])).toBe('192.0.2.1 | 2001:db8::1');
    pass(FORGET_MS);
    expect(groups(choice, [V6[0]!, V4[0]!])).toBe('2001:db8::1 192.0.2.1');
    choice.failed(place(V6[0]!));
    choice.worked(place(V6[0]!));
    expect(groups(choice, [V6[0]!, V4[0]!])).toBe('2001:db8::1 192.0.2.1');
  });

  test('if none has served, the one is tried alone first whose failure is the oldest', () => {
    const { choice, pass } = made(['enf.example.org'], still);
    for (const address of [V4[1]!, V4[0]!, V4[2]!]) {
      choice.failed(place(address));
      pass(1);
    }
    expect(groups(choice, V4)).toBe('192.0.2.2 | 192.0.2.1 192.0.2.3');
  });

  test('one that ended what it had served is behind the others of its family: the other may be the same machine', () => {
    const { choice } = made(['enf.example.org'], still);
    choice.ended(place(V6[0]!, V6[1]!));
    expect(groups(choice, [V6[0]!, V6[1]!, V4[0]!, V4[1]!])).toBe(
      '2001:db8::2 192.0.2.1 2001:db8::1 192.0.2.2',
    );
    expect(groups(choice, [V6[0]!, V4[0]!])).toBe('2001:db8::1 192.0.2.1');
  });

  test('one that has refused for a while is left out until then, unless all have', () => {
    const { choice, pass } = made(['enf.example.org'], still);
    choice.refused(place(V4[0]!, V4[1]!), 30_000);
    expect(groups(choice, V4.slice(0, 2))).toBe('192.0.2.2');
    pass(1);
    choice.refused(place(V4[1]!), 60_000);
    expect(groups(choice, V4.slice(0, 2))).toBe('192.0.2.1 | 192.0.2.2');
    pass(30_000);
    expect(groups(choice, V4)).toBe('192.0.2.3 | 192.0.2.1');
  });

  test('nor is the last one of a family: the host may have no way to the other', () => {
    const { choice } = made(['enf.example.org'], still);
    choice.refused(place(V6[0]!), 30_000);
    expect(groups(choice, [V6[0]!, V4[0]!])).toBe('192.0.2.1 | 2001:db8::1');
    expect(groups(choice, [V6[0]!, V6[1]!, V4[0]!])).toBe('2001:db8::2 192.0.2.1');
  });

  test('are known by their ports, and by whatever name', async () => {
    const { choice, order } = made(['enf.example.org', V4[0]!], still);
    choice.failed({ ...place(V4[0]!), port: 444 });
    expect(groups(choice, V4.slice(0, 2))).toBe('192.0.2.1 192.0.2.2');
    choice.failed(at(V4[0]!));
    expect(groups(choice, V4.slice(0, 2))).toBe('192.0.2.2 | 192.0.2.1');
    expect(await order()).toBe('enf.example.org 192.0.2.1');
  });

  test('keep their name in its place among others until the last one of the family has failed', async () => {
    const { choice, order } = made(['enf.example.org', 'b'], still);
    choice.failed(place(V4[0]!, V4[1]!));
    expect(await order()).toBe('enf.example.org b');
    choice.refused(place(V4[1]!, V4[0]!), 30_000);
    expect(await order()).toBe('b');
  });

  test('do not keep it if none was reached', async () => {
    const { choice, order } = made(['enf.example.org', 'b'], still);
    choice.failed(NAME);
    expect(await order()).toBe('b enf.example.org');
  });

  test('no more than 32 are tried, and both families', () => {
    const { choice } = made(['enf.example.org'], still);
    const many = Array.from({ length: 1_000 }, (_, i) => `2001:db8::${i.toString(16)}`);
    const [group, ...more] = choice.addresses(NAME, [...many, V4[0]!]);
    expect([group!.length, group![1], more]).toEqual([32, V4[0], []]);
  });

  describe('beside one of them', () => {
    const others = async (hosts: readonly string[], found: readonly string[], here: Place) => {
      const { choice } = made(hosts, { ...still, lookup: async () => found });
      const named = (await choice.others(here)).map(({ host }) => host).join(' ');
      return { named, groups: groups(choice, found, here) };
    };

    test('those of its family are others: one of the other family may be its own', async () => {
      expect(await others(['enf.example.org'], [...V6, ...V4], place(V6[1]!))).toEqual({
        ...{ named: 'enf.example.org', groups: '2001:db8::1 2001:db8::3' },
      });
      expect(await others(['enf.example.org', 'b'], [V6[0]!, V4[0]!], place(V6[0]!))).toEqual({
        ...{ named: 'b', groups: '' },
      });
    });

    test('its name is none, where a proxy knows the addresses, or no resolver answers', async () => {
      expect((await others(['enf.example.org', 'b'], V4, NAME)).named).toBe('b');
      const { choice } = made(['enf.example.org', 'b']);
      expect(await choice.others(place(V4[0]!))).toEqual([at('b')]);
    });

    test('nor is it by another name', async () => {
      expect((await others(['enf.example.org', V4[0]!], [V4[0]!], place(V4[0]!))).named).toBe('');
      const { choice } = made([], still);
      expect(choice.addresses(at('other.example.org'), [V4[0]!, V6[0]!], place(V4[0]!))).toEqual([[V6[0]]]);
    });
  });
});

describe('what is done with a server', () => {
  const run = async (work: () => Promise<unknown>, isTheirs: boolean) => {
    const { choice, order } = made(['a', 'b']);
    const first = judged(
      choice,
      async ({ onTried }) => {
        onTried?.({ ...at('a'), address: '192.0.2.1', peers: [] }, true);
        return work();
      },
      () => isTheirs,
    );
    await first.catch(() => {});
    return order();
  };

  test('says how it does: what was reached and fails is tried last', async () => {
    const fail = () => Promise.reject(new Error('no answer'));
    expect(await run(fail, true)).toBe('b a');
    expect(await run(fail, false)).toBe('a b');
    expect(await run(async () => 'an answer', true)).toBe('a b');
  });

  test('is what counts, and not that it was reached', async () => {
    const { choice, order } = made(['a', 'b']);
    choice.failed(at('a'));
    const fail = judged(
      choice,
      async ({ onTried }) => {
        onTried?.(at('b'), true);
        throw new Error('no answer');
      },
      () => true,
    );
    await expect(fail).rejects.toThrow('no answer');
    expect(await order()).toBe('a b');
  });
});
