import { describe, expect, it } from 'vitest';
import { runParts } from './parts.ts';

const PARTS = ['dp_fq', 'dp_pool', 'dp_frame', 'dp_packet', 'dp_checksum'];

describe("the data plane's queues", () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`share their memory so that none goes without (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('queue_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
