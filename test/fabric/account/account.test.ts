import { expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../fabric/access/scope.ts';
import { ACCOUNT_OPERATIONS, account } from '../../../fabric/account/account.ts';
import type { Actor } from '../../../fabric/operations/contract/operation.ts';
import { opened, random, registryFile } from '../place.ts';
import { somebody } from '../registry/contract/people.ts';

const CONSOLE: Actor = { name: 'console', role: 'host', scope: EVERYTHING, via: 'operator' };
const TOKEN: Actor = { name: 'x (token 1)', role: 'host', scope: EVERYTHING, via: 'token' };
const hex = (length: number): string => Buffer.from(random(length)).toString('hex');

const ACCOUNT = { issuer: 'https://login.example', subject: 'u-1', login: 'bob@example.org' };
const GOOD: Record<string, object> = {
  'sign-in': { name: 'Anna', password: 'not the password', source: '192.0.2.1' },
  setup: { invite: 'x', name: 'Anna', password: 'some password', source: '192.0.2.1' },
  'passkey-find': { credential: hex(16) },
  'passkey-sign-in': { credential: hex(16), counter: 0, source: '192.0.2.1' },
  confirm: { password: 'not the password', source: '192.0.2.1' },
  'passkey-confirm': { credential: hex(16), counter: 0 },
  'password-change': { password: 'y', source: '192.0.2.1' },
  'passkey-add': { name: 'laptop', credential: hex(16), publicKey: hex(77), counter: 0 },
  'passkey-remove': { id: 1 },
  'account-sign-in': { ...ACCOUNT, name: 'Bob', source: '192.0.2.1' },
  'account-confirm': ACCOUNT,
  'account-add': ACCOUNT,
  'account-remove': { issuer: ACCOUNT.issuer },
};

test('every operation is for the callers that it names, and for no others', async () => {
  const registry = opened(registryFile());
  const { id, name } = await somebody(registry, 'Anna');
  const anna: Actor = {
    name: `${name} (person ${id})`,
    role: 'owner',
    scope: scopeOf(DEFAULT_OWNER, true),
    via: 'session',
    person: id,
    personName: name,
    proved: Date.now(),
  };
  const on = account(registry);
  for (const [operation, { who }] of ACCOUNT_OPERATIONS) {
    for (const [actor, may] of [
      [CONSOLE, who === 'console' || who === 'caller'],
      [TOKEN, who === 'caller'],
      [anna, who !== 'console'],
    ] as const) {
      const outcome = await on.perform(operation, actor, GOOD[operation] ?? {}).then(
        () => 'done',
        ({ code }: { code: string }) => code,
      );
      if (may) expect(outcome, `${operation} by ${actor.via}`).not.toBe('access.forbidden');
      else expect(outcome, `${operation} by ${actor.via}`).toBe('access.forbidden');
    }
  }
  expect(await on.perform('network-list', CONSOLE, {})).toBeUndefined();
});

test('an input with a field too many, too few or of another kind is refused', async () => {
  const registry = opened(registryFile());
  const { id } = await somebody(registry, 'Anna');
  const on = account(registry);
  for (const [operation, { who }] of ACCOUNT_OPERATIONS) {
    const actor: Actor =
      who === 'console'
        ? CONSOLE
        : { name: 'Anna', role: 'owner', scope: EVERYTHING, via: 'session', person: id, proved: Date.now() };
    const good = GOOD[operation] ?? {};
    const inputs: unknown[] = [undefined, null, 7, [], { ...good, more: 1 }];
    for (const field of Object.keys(good)) {
      inputs.push(
        { ...good, [field]: undefined },
        { ...good, [field]: [] },
        { ...good, [field]: 'x'.repeat(9_000) },
      );
    }
    for (const input of inputs) {
      await expect(on.perform(operation, actor, input), operation).rejects.toMatchObject({
        code: 'fabric.bad-input',
      });
    }
  }
});

test('a passkey that was removed or copied signs nobody in', async () => {
  const registry = opened(registryFile());
  const { id: person } = await somebody(registry, 'Anna');
  const on = account(registry);
  const credential = random(16);
  const added = await registry.addPasskey('Anna', {
    person,
    credential,
    publicKey: random(77),
    counter: 5,
    name: 'k',
  });
  const text = Buffer.from(credential).toString('hex');
  const enter = (counter: number) =>
    on.perform('passkey-sign-in', CONSOLE, { credential: text, counter, source: '192.0.2.1' });
  expect(await on.perform('passkey-find', CONSOLE, { credential: text })).toMatchObject({
    view: { counter: 5 },
  });
  expect(await enter(6)).toMatchObject({
    view: { session: { id: person, generation: 1 }, me: { name: 'Anna' } },
  });
  await expect(enter(6)).rejects.toMatchObject({ code: 'access.bad-passkey' });
  await registry.removePasskey('Anna', person, added.id);
  await expect(enter(7)).rejects.toMatchObject({ code: 'access.bad-passkey' });
  expect(await on.perform('passkey-find', CONSOLE, { credential: text })).toEqual({ view: null });
});
