import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

/** The router and what it stands on, without what speaks with JavaScript. */
const FOLDERS = [
  'backlog',
  'router',
  'router/admission',
  'router/lookup',
  'router/rates',
  'router/rules',
  'transport',
  'dataplane',
  'packet',
];
const PARTS = [
  'pki/facts',
  'pki/judge',
  'pki/key',
  ...FOLDERS.flatMap((folder) =>
    readdirSync(new URL(`../../../native/${folder}`, import.meta.url))
      .filter((name) => name.endsWith('.c'))
      .map((name) => `${folder}/${name.slice(0, -2)}`),
  ),
];

describe('[H-A8] the threads of a router', () => {
  for (const sanitizer of ['thread', 'address,undefined']) {
    it(`share nothing that one of them may change (${sanitizer})`, async () => {
      // The sanitizer sees what is read as it is written down, before the compiler moves it. It does not know fences; what they order is a
      // thread's sleep, which is atomic by itself.
      const flags = sanitizer === 'thread' ? ['-O0', '-Wno-tsan'] : [];
      const done = await runParts('router/threads_parts', PARTS, sanitizer, ['-lssl', '-lcrypto', ...flags]);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
