import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = [
  ...['link', 'pipe', 'pool', 'fq', 'socket', 'tls'].map((part) => `transport/${part}`),
  ...['frame', 'packet', 'segment', 'checksum'].map((part) => `packet/${part}`),
];
const LIBRARIES = ['-lssl', '-lcrypto', '-Wl,--wrap=clock_gettime', '-Wl,--wrap=malloc'];

describe('[H-A1] [H-A8] a peer whose thread has others', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`has a turn by records, bytes and time, few key updates, and bytes of its own (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('transport/turn_parts', PARTS, sanitizer, LIBRARIES);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
