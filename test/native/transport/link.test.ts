import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = [
  ...[
    'transport/link',
    'transport/pipe',
    'transport/pool',
    'transport/fq',
    'transport/socket',
    'transport/tls',
  ],
  ...['packet/frame', 'packet/packet', 'packet/segment', 'packet/checksum'],
];

describe('links that share a thread', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`keep the order of what is passed on to them (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('transport/link_parts', PARTS, sanitizer, ['-lssl', '-lcrypto']);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
