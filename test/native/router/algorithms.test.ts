import { expect, it } from 'vitest';
import { runParts } from '../parts.ts';

it("the router's TLS has what it uses of OpenSSL in a context of its own", async () => {
  const done = await runParts('router/algorithms_parts', ['router/algorithms'], '', ['-lcrypto']);
  expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
});
