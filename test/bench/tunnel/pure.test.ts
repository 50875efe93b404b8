import { describe, expect, test } from 'vitest';
import { isFailure } from '../../../protocol/failure.ts';
import { HELP, NAMES, readOptions } from './options.ts';
import { PATHS } from './path.ts';
import { busyRatio, figures, GOALS, judge, ratios } from './report.ts';
import { MEASURES, type Row, rowOf } from './row.ts';
import { visits } from './run.ts';

const row = (name: string, values: Partial<Row> = {}): Row => ({ ...rowOf(name, []), ...values });

function refusal(argv: readonly string[]): string {
  try {
    readOptions(argv);
  } catch (error) {
    if (isFailure(error, 'bench.bad-option')) return error.message;
    throw error;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
}

describe('options', () => {
  test('by default three rounds of all', () => {
    expect(readOptions([])).toMatchObject({
      rounds: 3,
      quick: false,
      only: undefined,
      json: undefined,
      own: [],
    });
    expect(readOptions(['--quick']).rounds).toBe(1);
    expect(readOptions(['--quick', '--rounds', '5']).rounds).toBe(5);
  });

  test('a tunnel of the user’s own keeps its command as it is and can be chosen', () => {
    const { own, only } = readOptions(['--tunnel', 'mine=/x --key=a=b', '--only', 'mine, veth']);
    expect(own).toEqual([{ name: 'mine', command: '/x --key=a=b' }]);
    expect(only).toEqual(['mine', 'veth']);
  });

  test.each([
    [['--tunnel', 'mine'], 'expected NAME=COMMAND'],
    [['--tunnel', 'mine='], 'expected NAME=COMMAND'],
    [['--tunnel', 'Mine=x'], 'expected NAME=COMMAND'],
    [['--tunnel', 'veth=x'], 'a new name'],
    [['--tunnel', 'a=x', '--tunnel', 'a=y'], 'two tunnels named a'],
    [['--only', 'openvpn,wireguard'], '"wireguard" is not one of'],
    [['--only', ''], '"" is not one of'],
    [['--rounds', '0'], 'a whole number from 1 to 100'],
  ])('%j is refused', (argv, message) => {
    expect(refusal(argv)).toContain(message);
  });

  test('the help has examples and what a command of the user’s own gets', () => {
    for (const word of ['Examples:', '--rounds N', 'ROLE', 'PEER_ADDRESS', 'FOLDER'])
      expect(HELP).toContain(word);
  });
});

describe('one round', () => {
  const order = (path: string, round: number): string =>
    visits(['a', 'b', 'c'], PATHS.find(({ name }) => name === path)!, round).join('');

  test('goes there and back where the processor decides, and elsewhere every second time backwards', () => {
    expect([order('fast', 1), order('fast', 2)]).toEqual(['abccba', 'abccba']);
    for (const path of ['slow', 'lossy']) expect([order(path, 1), order(path, 2)]).toEqual(['abc', 'cba']);
  });
});

describe('rows', () => {
  test('are medians of what was measured, null for the rest, with exactly these keys', () => {
    const made = rowOf('openvpn', [{ up_gbps: 3, kpps: 9 }, { up_gbps: 1 }, { up_gbps: 2, mbit_at_20: 18 }]);
    expect(made).toMatchObject({ name: 'openvpn', up_gbps: 2, kpps: 9, mbit_at_20: 18, down_gbps: null });
    expect(Object.keys(made)).toEqual([
      'name',
      'up_gbps',
      'down_gbps',
      'cpu_s_per_gb_up',
      'cpu_s_per_gb_down',
      'kpps',
      'us_per_packet',
      'rtt_p50_us',
      'rtt_p99_us',
      'rtt_load_fast_ms',
      'rtt_load_20mbit_ms',
      'mbit_at_20',
      'mbit_lossy',
      'rtt_lossy_ms',
      'rss_mb',
      'pss_mb',
    ]);
    expect(NAMES).toEqual([
      'ours-super',
      'ours-legacy',
      'openvpn',
      'nebula',
      'wireguard-go',
      'tls-bulk',
      'veth',
    ]);
  });

  test('every figure has a column', () => {
    const values = Object.fromEntries(MEASURES.map((measure, i) => [measure, 100 + i]));
    const line = figures([row('veth', values)]).split('\n')[1]!;
    expect(line.split(/ +/).slice(1).sort()).toEqual(MEASURES.map((_, i) => String(100 + i)));
  });
});

describe('ratios', () => {
  const goal = (what: string) => GOALS.find((each) => each.what === what)!;
  const all = [
    row('ours-super', { up_gbps: 2.4, cpu_s_per_gb_up: 1.4, rtt_p50_us: 130, mbit_at_20: 17.9 }),
    row('ours-legacy', { up_gbps: 2.3, cpu_s_per_gb_up: 1.7, rtt_p50_us: 150, mbit_at_20: 18.1 }),
    row('openvpn', { up_gbps: 0.3, cpu_s_per_gb_up: 20, rtt_p50_us: 170 }),
    row('nebula', { up_gbps: 0.2, cpu_s_per_gb_up: 14.4, rtt_p50_us: 140 }),
    row('tls-bulk', { up_gbps: 4, cpu_s_per_gb_up: 1.2 }),
    row('veth', { up_gbps: 25, rtt_p50_us: 40 }),
  ];

  test('throughput is compared with the fastest of the others, not with TLS or the bare path', () => {
    expect(judge(goal('throughput up ÷ best'), 'super', all)).toBe('8.00 yes');
    expect(judge(goal('throughput up ÷ best'), 'legacy', all)).toBe('7.67 yes');
  });

  test('CPU with the cheapest of them, and with TLS', () => {
    expect(judge(goal('CPU per GB up ÷ best'), 'super', all)).toBe('0.0972 yes');
    expect(judge(goal('CPU per GB up ÷ best'), 'legacy', all)).toBe('0.118 NO');
    expect(judge(goal('CPU per GB up ÷ TLS bulk'), 'super', all)).toBe('1.17 yes');
    expect(judge(goal('CPU per GB up ÷ TLS bulk'), 'legacy', all)).toBe('1.42 NO');
  });

  test('idle latency is what the tunnel adds to the path', () => {
    expect(judge(goal('added idle latency ÷ lowest'), 'super', all)).toBe('0.900 yes');
    expect(judge(goal('added idle latency ÷ lowest'), 'legacy', all)).toBe('1.10 NO');
  });

  test('the slow link is compared with itself', () => {
    expect(judge(goal('20 Mbit/s: throughput ÷ link'), 'super', all)).toBe('0.895 NO');
    expect(judge(goal('20 Mbit/s: throughput ÷ link'), 'legacy', all)).toBe('0.905 yes');
  });

  test('without ours, or without any of the others, there is no verdict', () => {
    const some = all.filter((each) => each.name !== 'ours-super');
    expect(judge(goal('throughput up ÷ best'), 'super', some)).toBe('–');
    expect(judge(goal('throughput up ÷ best'), 'legacy', [all[1]!, all[5]!])).toBe('–');
    expect(judge(goal('CPU per GB down ÷ best'), 'super', all)).toBe('–');
  });

  test('a busy main thread is compared with an idle one and with the same load elsewhere, if both were measured', () => {
    const busy = row('ours-super-busy', { rtt_p50_us: 143, rtt_p99_us: 300 });
    const idle = row('ours-super', { rtt_p50_us: 130, rtt_p99_us: 200 });
    expect(busyRatio([idle, busy])).toEqual([expect.stringContaining('RTT p50 1.10, p99 1.50 times')]);
    const beside = row('ours-super-beside', { rtt_p50_us: 130, rtt_p99_us: 400 });
    expect(busyRatio([beside, busy])).toEqual([
      expect.stringContaining('RTT p50 1.10, p99 0.750 times that with the same load'),
    ]);
    expect(busyRatio([idle, beside, busy])).toHaveLength(2);
    expect(busyRatio([busy])).toEqual([]);
    expect(busyRatio(all)).toEqual([]);
  });

  test('the table shows what must be reached beside each', () => {
    const lines = ratios(all).split('\n');
    expect(lines).toHaveLength(GOALS.length + 1);
    expect(lines[1]).toMatch(/^throughput up ÷ best +8\.00 yes +≥ 8 +7\.67 yes +≥ 6$/);
    expect(lines[3]).toMatch(/≤ 1\/9/);
  });
});
