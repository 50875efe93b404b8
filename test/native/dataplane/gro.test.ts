import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = [
  'dataplane/gro',
  'packet/segment',
  'dataplane/tun',
  'packet/frame',
  'packet/packet',
  'packet/checksum',
];

describe('what one end has cut', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`is joined at the other to what it was (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('dataplane/gro_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
