import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { allOf, random } from '../../place.ts';
import type { OpenEmpty } from './place.ts';

/** Tokens of the API. */
export function tokensContract(openEmpty: OpenEmpty): void {
  describe('tokens', () => {
    const fields = { name: 'anna', role: 'operator', expires: 10_000 } as const;

    test('are found by their hash until they expire, and it is noted when they were used', async () => {
      let now = 1_000;
      const registry = await (await openEmpty())({ now: () => now });
      const hash = random(32);
      const made = await registry.addToken('alice', { ...fields, hash });
      expect(made).toEqual({ id: 1, ...fields, owner: 1, createdBy: 'alice', created: 1_000 });
      now = 9_999;
      const used = await registry.useToken(hash);
      expect(used).toEqual({ ...made, isOfOnlyOwner: true, ownerName: 'default' });
      expect(await registry.useToken(random(32))).toBeUndefined();
      await registry.addToken('alice', { ...fields, hash: random(32) });
      expect(await allOf((page) => registry.tokens(page))).toMatchObject([{ id: 1, used: 9_999 }, { id: 2 }]);
      now = 10_000;
      expect(await registry.useToken(hash)).toBeUndefined();
      expect(await allOf((page) => registry.tokens(page))).toHaveLength(2);
    });

    test('act for their owner, and those of the host for nobody in particular', async () => {
      const registry = await (await openEmpty())({ now: () => 1_000 });
      const { id: owner } = await registry.addOwner('root', 'acme');
      const [own, hosts] = [random(32), random(32)];
      await registry.of(scopeOf(owner, false)).addToken('alice', { ...fields, hash: own });
      await registry.addToken('root', { ...fields, role: 'host', hash: hosts });
      const used = await registry.useToken(own);
      expect(used).toMatchObject({ owner, isOfOnlyOwner: false, ownerName: 'acme' });
      expect(await registry.useToken(hosts)).not.toHaveProperty('ownerName');
    });

    test('are revoked once, and for good', async () => {
      const registry = await (await openEmpty())({ now: () => 1_000 });
      const hash = random(32);
      const { id } = await registry.addToken('alice', { ...fields, hash });
      expect(await registry.revokeToken('bob', id)).toBe(true);
      expect(await registry.revokeToken('bob', id)).toBe(false);
      expect(await registry.useToken(hash)).toBeUndefined();
      await expect(registry.revokeToken('bob', 7)).rejects.toMatchObject({ code: 'fabric.unknown-token' });
      const { rows } = await registry.audit({ limit: 9 });
      expect(rows.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`)).toEqual([
        'bob token.revoke token 1',
        'alice token.create token 1',
        expect.stringContaining('fabric.init'),
      ]);
      expect(JSON.stringify(rows)).not.toContain(Buffer.from(hash).toString('hex'));
    });
  });
}
