import { describe, expect, test } from 'vitest';
import { isFailure } from '../../../protocol/failure.ts';
import { HELP, readOptions } from './options.ts';
import { describe as describeResult, progress, resultOf } from './report.ts';
import { type Sample, sampleProcess, together } from './sample.ts';
import { courseOf, type Minute, slopeOf } from './verdict.ts';

const look = (rssMb: number, more: Partial<Sample> = {}): Sample => ({
  pid: 7,
  rssMb,
  pssMb: rssMb / 2,
  anonMb: 20,
  descriptors: 20,
  threads: 12,
  writtenBytes: 4_096,
  cpu: 1,
  ...more,
});

/** An hour of minutes; the megabytes of each process at minute m. */
const hour = (agent: (m: number) => number, fabric: (m: number) => number = () => 70): Minute[] =>
  Array.from({ length: 60 }, (_, i) => ({
    minute: i + 1,
    agent: look(agent(i + 1)),
    fabric: look(fabric(i + 1), { pid: 8 }),
    handshakes: 2,
    sentBytes: 1e9,
    receivedBytes: 1e8,
  }));

describe('options', () => {
  test('two hours with a disturbance every four minutes unless told otherwise', () => {
    expect(readOptions([])).toMatchObject({ minutes: 120, every: 240, mbit: 5, json: undefined });
    expect(readOptions(['--minutes', '10', '--every', '60'])).toMatchObject({ minutes: 10, every: 60 });
    expect(HELP).toContain('Exit code');
  });

  test.each([[['--minutes', '1']], [['--every', '44']], [['--hours', '2']]])('%j is refused', (argv) => {
    try {
      readOptions(argv);
    } catch (error) {
      expect(isFailure(error, 'bench.bad-option')).toBe(true);
      return;
    }
    throw new Error('accepted');
  });
});

describe('the course of memory', () => {
  test('the slope is that of the least squares', () => {
    expect(slopeOf([0, 1, 2, 3].map((x) => [x, 5 + 2 * x]))).toBeCloseTo(2);
    expect(
      slopeOf([
        [0, 1],
        [1, 3],
        [2, 2],
      ]),
    ).toBeCloseTo(0.5);
    expect(slopeOf([[1, 1]])).toBeNaN();
  });

  test('what grows while everything warms up does not count, what grows later does', () => {
    const warming = courseOf(
      hour((m) => (m <= 12 ? 40 + m : 52)),
      'agent',
    );
    expect(warming).toEqual({ slope: 0, anonSlope: 0, least: 52, most: 52, flat: true });
    const leaking = courseOf(
      hour((m) => 50 + m / 60),
      'agent',
    );
    expect(leaking.slope).toBeCloseTo(1);
    expect(leaking.flat).toBe(false);
    // Growth is growth, also if all of it is pages of files.
    expect(leaking.anonSlope).toBe(0);
    expect(
      courseOf(
        hour((m) => 60 - m / 60),
        'agent',
      ).flat,
    ).toBe(true);
  });

  test('one minute is no course, and neither is that of two processes', () => {
    expect(courseOf(hour(() => 50).slice(0, 1), 'agent').flat).toBe(false);
    const replaced = hour(() => 50).map((each) => ({
      ...each,
      agent: { ...each.agent, pid: each.minute > 40 ? 9 : 7 },
    }));
    expect(courseOf(replaced, 'agent').flat).toBe(false);
    expect(courseOf(replaced, 'fabric').flat).toBe(true);
  });

  test('looks of a minute become one; those at a process that has ended do not count', () => {
    expect(together([look(10, { pid: 1 }), look(50), look(52, { threads: 13 })])).toMatchObject({
      pid: 7,
      rssMb: 51,
      pssMb: 25.5,
      threads: 13,
    });
  });

  test('this process can be looked at; one that is none cannot', () => {
    const here = sampleProcess(process.pid);
    expect(here.rssMb).toBeGreaterThan(here.pssMb / 2);
    expect(here.anonMb).toBeLessThan(here.rssMb);
    for (const value of [here.pssMb, here.anonMb, here.descriptors, here.threads, here.cpu])
      expect(value).toBeGreaterThan(0);
    expect(() => sampleProcess(2 ** 22 + 1)).toThrow();
  });
});

describe('the result', () => {
  const back = { at: 4, what: 'evicted', backAfterS: 2.25 };

  test('is good only if both are flat and the device came back every time', () => {
    const flat = hour(() => 55);
    expect(resultOf({ minutes: flat, disturbances: [back] }).good).toBe(true);
    expect(resultOf({ minutes: flat, disturbances: [back, { ...back, backAfterS: undefined }] }).good).toBe(
      false,
    );
    expect(resultOf({ minutes: hour((m) => m), disturbances: [] }).good).toBe(false);
    expect(
      resultOf({
        minutes: hour(
          () => 55,
          (m) => m,
        ),
        disturbances: [],
      }).good,
    ).toBe(false);
  });

  test('is told with slopes, bounds and disturbances', () => {
    const text = describeResult(resultOf({ minutes: hour(() => 55), disturbances: [back] }), 0.021);
    for (const part of [
      '0.00',
      '55.0–55.0',
      'flat',
      'last 48 of 60 minutes',
      '1 disturbances',
      '2.3 s',
      '2.1 %',
      'GOOD',
    ])
      expect(text).toContain(part);
    expect(progress(back)).toContain('evicted: back after 2.3 s');
    expect(progress({ ...back, backAfterS: undefined })).toContain('NOT BACK');
    expect(progress(hour(() => 55)[0]!)).toContain('minute 1: agent 55.0 MB');
  });
});
