import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

describe('between TLS and a socket that takes little', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`all arrives, keys may change, and what waits is bounded (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('transport/pipe_parts', ['transport/pipe', 'transport/pool'], sanitizer, [
        '-lssl',
        '-lcrypto',
      ]);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
