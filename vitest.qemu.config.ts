import { defineConfig } from 'vitest/config';

/** Booted guests, see test/qemu/run.sh. One after the other: an emulated processor takes a real one. */
export default defineConfig({
  test: {
    include: ['test/qemu/*.qemu.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 1_200_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    disableConsoleIntercept: true,
  },
});
