import { expect, test } from 'vitest';
import { measureHandshakes } from './handshakes.ts';

test('handshakes with the program are measured', async () => {
  const { server_ms, client_ms, latency_ms } = await measureHandshakes(3);
  for (const each of [server_ms, client_ms, latency_ms]) expect(each).toBeGreaterThan(0);
});
