import { describe, expect, it } from 'vitest';
import { runParts } from './parts.ts';

const PARTS = ['dp_gro', 'dp_segment', 'dp_tun', 'dp_frame', 'dp_packet', 'dp_checksum'];

describe('what one end has cut', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`is joined at the other to what it was (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('gro_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
