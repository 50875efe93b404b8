import { expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { answerClientAttest, type HandshakeContext } from '../../../fabric/identity/handshake.ts';
import { tokenBuckets } from '../../../os/service/token-buckets.ts';
import { deterministicSigner } from '../../../protocol/crypto/ecdsa.ts';
import { Failure } from '../../../protocol/failure.ts';
import * as client from '../../../protocol/xtt/client.ts';
import { portableServer } from '../../../protocol/xtt/stateless.ts';
import * as fixture from '../../protocol/xtt/fixture.ts';

const refusal = new Failure('fabric.group-not-admitted', 'operator', 'not this group');

/** Cookies have an AAD of 12 bytes; their key is wiped with the jar's others (cookie.test.ts). */
const isCookie = (aad: Uint8Array): boolean => aad.length === 12;

/** A server that uses `refuse` in place of one of its parts, and every key with which it has opened or sealed a message. */
function server(refuse: Partial<HandshakeContext>): { context: HandshakeContext; keys: Uint8Array[] } {
  const keys: Uint8Array[] = [];
  const watched = {
    ...primitives,
    seal: (...[aead, key, nonce, aad, text]: Parameters<typeof primitives.seal>) => {
      if (!isCookie(aad)) keys.push(key);
      return primitives.seal(aead, key, nonce, aad, text);
    },
    open: (...[aead, key, nonce, aad, sealed]: Parameters<typeof primitives.open>) => {
      if (!isCookie(aad)) keys.push(key);
      return primitives.open(aead, key, nonce, aad, sealed);
    },
  };
  const context: HandshakeContext = {
    server: portableServer(watched, deterministicSigner, [fixture.serverKey]),
    verifiers: { verify: async () => true },
    registry: {
      openGroup: () => ({}) as never,
      admit: async () => fixture.identity,
      refused: async () => {},
    },
    chips: tokenBuckets({ burst: 9, periodMs: 1_000 }),
    now: () => 0,
    ...refuse,
  };
  return { context, keys };
}

async function attempt(context: HandshakeContext): Promise<unknown> {
  const record = { source: '127.0.0.1' } as never;
  const { send, next } = fixture.hello(1);
  const attesting = client.attest(next, context.server.answer(0, send), [fixture.root]);
  return answerClientAttest(context, fixture.identify(attesting).send, record, 0).then(
    () => 'granted',
    ({ code }: { code: string }) => code,
  );
}

const refuses = async (): Promise<never> => {
  throw refusal;
};
const registry = {
  openGroup: () => ({}) as never,
  admit: async () => fixture.identity,
  refused: async () => {},
};

test.each<[string, string, Partial<HandshakeContext>]>([
  ['is granted', 'granted', {}],
  ['its group is refused', refusal.code, { registry: { ...registry, openGroup: refuses } }],
  ['its group signature is wrong', 'xtt.bad-group-signature', { verifiers: { verify: async () => false } }],
  ['its chip is refused', refusal.code, { registry: { ...registry, admit: refuses } }],
])('[H-B9] no key of a handshake is left when %s', async (_, outcome, refuse) => {
  const { context, keys } = server(refuse);
  expect(await attempt(context)).toBe(outcome);
  expect(keys.length).toBeGreaterThan(1);
  for (const key of keys) expect(key).toEqual(new Uint8Array(key.length));
});
