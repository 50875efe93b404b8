import { expect, test } from 'vitest';
import { openDhcpSocket } from '../../../os/net/dhcp-socket.ts';

// test/e2e/device/prefix.test.ts has a client of Debian's that is answered.
test('where there is no such interface, or its port may not be taken, there is no socket', async () => {
  const opened = openDhcpSocket('enf-none', () => {});
  await expect(opened).rejects.toMatchObject({
    ...{ code: 'os.no-dhcp-socket', remedy: 'operator' },
    action: expect.stringContaining('CAP_NET_BIND_SERVICE'),
  });
});
