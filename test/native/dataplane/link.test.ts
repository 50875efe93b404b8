import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = [
  ...[
    'dataplane/link',
    'dataplane/pipe',
    'dataplane/pool',
    'dataplane/fq',
    'dataplane/socket',
    'dataplane/tls',
  ],
  ...['dataplane/frame', 'dataplane/packet', 'dataplane/segment', 'dataplane/checksum'],
];

describe('links that share a thread', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`keep the order of what is passed on to them (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('dataplane/link_parts', PARTS, sanitizer, ['-lssl', '-lcrypto']);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
