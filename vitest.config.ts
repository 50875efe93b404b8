import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequencer.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Vectors and pairings are CPU work; software TPMs and namespaces are slow to start. Nothing asserts a time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What a test waits for is mostly there within a few milliseconds, but not on a busy machine.
    expect: { poll: { interval: 10, timeout: 20_000 } },
    pool: 'forks',
    // One more than the cores that this is for: many tests wait for processes, clocks and packets.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
