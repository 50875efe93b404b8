import { describe, expect, it } from 'vitest';
import { runParts } from './parts.ts';

const PARTS = [
  ...['dp_link', 'dp_pipe', 'dp_pool', 'dp_fq', 'dp_socket', 'dp_tls'],
  ...['dp_frame', 'dp_packet', 'dp_segment', 'dp_checksum'],
];

describe('links that share a thread', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`keep the order of what is passed on to them (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('link_parts', PARTS, sanitizer, ['-lssl', '-lcrypto']);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
