import { expect, test } from 'vitest';
import { ROUTES } from '../../../fabric/api/routes.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { NETWORK, opened, registryFile } from '../place.ts';
import { served } from './console.ts';

test('what a replica has answered says as of when; nothing else does, nor what it could not answer', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('anna', NETWORK, 'plant');
  const { port } = await served(registry);
  const running = { notify: async () => 'in force', presence: async () => undefined };
  const context = { registry, running, now: Date.now, actor: 'anna' };
  const { token } = await createToken.run(context, { name: 'reads', role: 'auditor', days: 1 });
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const authorization = `Bearer ${token}`;
    const url = `http://127.0.0.1:${port}/api/v1${path}`;
    const { status, headers: given } = await fetch(url, { headers: { authorization, ...headers } });
    return { status, asOf: given.get('as-of'), tag: given.get('etag') };
  };
  expect(await get('/audit')).toMatchObject({ status: 200, asOf: null });

  const asOf = Date.parse('2026-11-30T10:11:12.345Z');
  registry.replica = async () => ({ asOf, of: registry.of });
  const answer = await get('/audit');
  expect(answer).toMatchObject({ status: 200, asOf: '2026-11-30T10:11:12.345Z' });
  expect(await get('/audit', { 'if-none-match': answer.tag! })).toEqual({ ...answer, status: 304 });
  expect(await get('/networks')).toMatchObject({ status: 200, asOf: null });

  const gone = async () => {
    throw new Error('it went away');
  };
  registry.replica = async () => ({ asOf, of: (scope) => ({ ...registry.of(scope), audit: gone }) });
  expect(await get('/audit')).toMatchObject({ status: 200, asOf: null });
});

test('only what is read may be answered by a replica', () => {
  const answered = ROUTES.filter(({ replica }) => replica);
  expect(answered).not.toEqual([]);
  for (const { name, method, fresh } of answered)
    expect([name, method, fresh]).toEqual([name, 'GET', undefined]);
});
