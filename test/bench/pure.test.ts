import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isFailure } from '../../protocol/failure.ts';
import { describeOptions, ensureWritable, readArguments } from './arguments.ts';
import { describe as describeFigures, deviceFigures, handshakeFigures } from './figures.ts';
import { parseBusy, parseMemory, parseStat } from './processes.ts';
import { median, spread } from './statistics.ts';
import { columns, figure } from './table.ts';

const OPTIONS = [
  { name: 'rounds', value: 'N', help: 'how often' },
  { name: 'quick', help: 'short' },
  { name: 'tunnel', value: 'NAME=COMMAND', help: 'another', many: true },
];

const refused = (argv: readonly string[]): { message: string; action: string | undefined } => {
  try {
    readArguments(OPTIONS, argv).whole('rounds', 1, 100, 3);
  } catch (error) {
    if (isFailure(error, 'bench.bad-option')) return { message: error.message, action: error.action };
    throw error;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
};

describe('statistics', () => {
  test('the median is the middle, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([10, 9, 100])).toBe(10);
    expect(median([])).toBeUndefined();
  });

  test('the values given stay as they are', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test('the spread is relative to the median, and needs two values', () => {
    expect(spread([8, 10, 12])).toBeCloseTo(0.4);
    expect(spread([7])).toBeUndefined();
    expect(spread([0, 0])).toBeUndefined();
  });
});

describe('table', () => {
  test('figures have three significant digits and no exponent', () => {
    expect([0.043_21, 1.234_5, 17.849, 375.4, 4589.2, 0].map(figure)).toEqual([
      '0.0432',
      '1.23',
      '17.8',
      '375',
      '4589',
      '0',
    ]);
  });

  test('what was not measured is a dash', () => {
    expect([null, undefined, Number.NaN, Number.POSITIVE_INFINITY].map(figure)).toEqual(['–', '–', '–', '–']);
  });

  test('numbers stand under each other, names to the left', () => {
    expect(
      columns(
        ['', 'up'],
        [
          ['veth', '24.2'],
          ['ours-legacy', '0.62'],
        ],
      ),
    ).toBe(['               up', 'veth         24.2', 'ours-legacy  0.62'].join('\n'));
  });
});

describe('arguments', () => {
  test('flags, values, repeated values and defaults', () => {
    const given = readArguments(OPTIONS, ['--quick', '--tunnel', 'a=b', '--tunnel=c=d']);
    expect(given.flag('quick')).toBe(true);
    expect(given.values('tunnel')).toEqual(['a=b', 'c=d']);
    expect(given.whole('rounds', 1, 100, 3)).toBe(3);
    const other = readArguments(OPTIONS, ['--rounds', '7']);
    expect(other.flag('quick')).toBe(false);
    expect(other.values('tunnel')).toEqual([]);
    expect(other.whole('rounds', 1, 100, 3)).toBe(7);
  });

  test('a slip is refused with the name that was meant', () => {
    expect(refused(['--ruonds', '3']).action).toBe('Did you mean "--rounds"?');
    expect(refused(['--bananas']).action).toBe('See --help.');
  });

  test('a value that is missing, one too many, or no whole number within bounds is refused', () => {
    refused(['--rounds']);
    refused(['--quick=3']);
    refused(['surplus']);
    for (const wrong of ['0', '101', '-1', '1.5', 'many', '1e2', '']) {
      expect(refused([`--rounds=${wrong}`]).message).toContain(
        '--rounds: expected a whole number from 1 to 100',
      );
    }
  });

  test('a file that cannot be written is refused at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'enf-bench-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    ensureWritable(undefined);
    ensureWritable(join(folder, 'new.json'));
    expect(() => ensureWritable(join(folder, 'absent', 'new.json'))).toThrow(
      expect.objectContaining({ code: 'bench.cannot-write' }),
    );
  });

  test('the help lists every option in one column', () => {
    expect(describeOptions(OPTIONS)).toBe(
      [
        '  --rounds N             how often',
        '  --quick                short',
        '  --tunnel NAME=COMMAND  another',
      ].join('\n'),
    );
  });
});

describe('/proc', () => {
  test('a stat line is read behind the last parenthesis, whatever the name is', () => {
    const numbers = '77 1015 1015 34816 77 4194304 103 0 0 0 150 25 30 7 20 0 1 0 356658';
    expect(parseStat(`1084 (a) b) R ${numbers}`)).toEqual({ group: 1015, own: 1.75, reaped: 0.37 });
  });

  test('busy is neither idle nor waiting for the disk; what the hypervisor took is apart', () => {
    const text = 'cpu  1000 200 300 99999 888 40 60 70 5 6\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
    expect(parseBusy(text)).toEqual({ busy: 16, stolen: 0.7 });
  });

  test('memory comes in megabytes; a process that has ended has none', () => {
    const text =
      'aaaa-bbbb ---p 00000000 00:00 0 [rollup]\nRss:               50000 kB\nPss:               20000 kB\n';
    expect(parseMemory(text)).toEqual({ rssMb: 51.2, pssMb: 20.48 });
    expect(parseMemory('')).toEqual({ rssMb: 0, pssMb: 0 });
  });
});

describe('figures beside those of C', () => {
  const memory = (rssMb: number) => ({ rssMb, pssMb: rssMb / 2 });

  test('what must be is judged, the rest is shown', () => {
    const lines = describeFigures(
      deviceFigures({ cold_start_s: 1.9, idle: memory(64), loaded: memory(66) }),
    ).split('\n');
    expect(lines.find((line) => line.includes('cold start'))).toMatch(/1\.90 +s +– +≤ 2 yes$/);
    expect(lines.find((line) => line.includes('RSS idle'))).toMatch(/64\.0 +MB +7\.00 +≤ 65 yes$/);
    expect(lines.find((line) => line.includes('RSS under load'))).toMatch(/≤ 65 NO$/);
    expect(lines.find((line) => line.includes('PSS idle'))).toMatch(/32\.0 +MB +–$/);
  });

  test("handshakes per core follow from the server's CPU", () => {
    const measured = { server_ms: 40, client_ms: 20, latency_ms: 90 };
    const perCore = handshakeFigures(measured).find((each) => each.name.includes('per core'));
    expect(perCore).toMatchObject({ value: 25, unit: '1/s', most: null });
  });
});
