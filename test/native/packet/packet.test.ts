import { expect, test } from 'vitest';
import { runParts } from '../parts.ts';

for (const sanitizer of ['', 'address,undefined']) {
  test(`[H-B3] what may enter a device, cut at each length (${sanitizer || 'as shipped'})`, async () => {
    const done = await runParts('packet/packet_parts', ['packet/packet', 'packet/checksum'], sanitizer);
    expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
  });
}
