/** As the package's unit starts the agent. */
export const AS_SERVICE = {
  node: ['--jitless', '--expose-gc', '--max-semi-space-size=1', '--max-old-space-size=64'],
  environment: { MALLOC_ARENA_MAX: '2', MALLOC_TOP_PAD_: '0' },
} as const;
