import { expect, test } from 'vitest';
import { actorOf } from '../../../fabric/operations/actors.ts';
import type { Token } from '../../../fabric/registry/tokens.ts';
import { opened, registryFile } from '../place.ts';

test('a token of an owner that is closed stands for nobody, and one of another for that', async () => {
  const registry = opened(registryFile());
  const { id: owner } = await registry.addOwner('root', 'acme');
  // As if it had been found before its owner was closed.
  const token: Token = { id: 1, name: 't', role: 'owner', owner, createdBy: 'x', created: 1, expires: 2 };
  const found = { ...registry, useToken: async () => token };
  const call = { actor: 'console', token: '00'.repeat(32), input: {} };
  expect(await actorOf(found, call)).toMatchObject({
    owner: 'acme',
    scope: { owner, everything: false },
  });
  await registry.closeOwner('root', 'acme');
  await expect(actorOf(found, call)).rejects.toMatchObject({ code: 'fabric.unknown-owner' });
});
