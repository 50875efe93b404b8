import { describe, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const PARTS = ['router/lookup/lookups', 'router/addresstable', 'router/peer'];

describe("the router's questions whose an address is", () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`[H-A3] are shared out among devices and networks (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('router/lookups_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});
