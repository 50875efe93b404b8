import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = ['transport/fq', 'transport/pool', 'packet/frame', 'packet/packet', 'packet/checksum'];

describe("the data plane's queues", () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`[H-A3] share their memory so that none goes without (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('transport/queue_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
