import { describe, expect, test } from 'vitest';
import { type ChoiceOptions, FORGET_MS, hostChoice, hostsInOrder } from '../../../os/net/choice.ts';
import type { Endpoint } from '../../../os/net/service.ts';

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
