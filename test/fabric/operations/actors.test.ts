import { expect, test } from 'vitest';
import { scopeOf } from '../../../fabric/access/scope.ts';
import { actorOf } from '../../../fabric/operations/actors.ts';
import { opened, random, registryFile } from '../place.ts';

test('a token of an owner stands for that, and for nobody once it is closed', async () => {
  const registry = opened(registryFile());
  const { id: owner } = await registry.addOwner('root', 'acme');
  const hash = random(32);
  const expires = Date.now() + 60_000;
  await registry.of(scopeOf(owner, false)).addToken('anna', { name: 't', role: 'owner', hash, expires });
  const call = { actor: 'console', token: Buffer.from(hash).toString('hex'), input: {} };
  expect(await actorOf(registry, call)).toMatchObject({
    owner: 'acme',
    scope: { owner, everything: false },
  });
  await expect(actorOf(registry, { ...call, owner: 'default' })).rejects.toMatchObject({
    code: 'fabric.unknown-owner',
  });
  const token = (await registry.useToken(hash))!;
  await registry.closeOwner('root', 'acme');
  await expect(actorOf(registry, call)).rejects.toMatchObject({ code: 'access.bad-token' });
  // As if it had not been revoked with its owner.
  const closed = { ...registry, useToken: async () => ({ ...token, ownerName: undefined }) };
  await expect(actorOf(closed, call)).rejects.toMatchObject({ code: 'fabric.unknown-owner' });
});
