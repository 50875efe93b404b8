import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { remoteClient } from '../../../fabric/api/client.ts';

/** An API on one address of loopback, that knows one network. */
async function api(host: string): Promise<number> {
  const server = createServer((_, response) =>
    response.end(JSON.stringify({ rows: [{ prefix: 'fd00::/64' }] })),
  );
  server.listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const networks = (url: string) =>
  remoteClient({ url: new URL(url), token: 'enft_x' })('network-list', { limit: 1 });

test('localhost is both addresses of loopback, whatever the resolver says', async () => {
  for (const host of ['::1', '127.0.0.1'])
    expect(await networks(`http://localhost:${await api(host)}`), host).toMatchObject({
      rows: [{ prefix: 'fd00::/64' }],
    });
});

test('a console that listens on the other address of loopback is hinted at', async () => {
  const port = await api('::1');
  await expect(networks(`http://127.0.0.1:${port}`)).rejects.toMatchObject({
    code: 'api.unreachable',
    action: expect.stringContaining('http://localhost'),
  });
});
