import { expect, test } from 'vitest';
import { runParts } from '../parts.ts';

for (const sanitizer of ['', 'address,undefined']) {
  test(`what rules look at in a packet, cut at each length (${sanitizer || 'as shipped'})`, async () => {
    const parts = ['packet/tuple', 'packet/packet', 'packet/checksum'];
    const done = await runParts('packet/tuple_parts', parts, sanitizer);
    expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
  });
}
