import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { ascii, equal } from '../../../protocol/bytes.ts';
import { groupId } from '../../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../../protocol/crypto/issuer.ts';
import { generateMemberSecret, sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { groupVerifier, pseudonymOf } from '../../../protocol/crypto/verifier.ts';
import * as client from '../../../protocol/xtt/client.ts';
import * as server from '../../../protocol/xtt/server.ts';
import * as fixture from './fixture.ts';

/** A group with one member, as the factory would make them. */
const issuer = generateIssuer(primitives);
const gpk = groupPublicKey(issuer.publicKey);
const basename = ascii('a basename');
const member = softwareDaaKey(primitives, generateMemberSecret(primitives));
const { credential } = issueCredential(primitives, issuer.secret, member.publicPoint);
const verifier = groupVerifier(primitives, gpk, basename);

/** A handshake up to the claim; `signed` is what the member really signs. */
async function claim(spec: SuiteSpec, signed = (message: Uint8Array) => message) {
  const { send, next } = fixture.hello(spec);
  const answered = fixture.answer(send);
  const attesting = client.attest(next, answered.send, [fixture.root]);
  const claimed = fixture.identify(attesting, {
    gid: groupId(primitives, gpk, basename),
    daaSignature: await sign(primitives, member, credential, signed(attesting.daaMessage), basename),
  });
  return { claimed, claim: server.openClaim(answered.next, claimed.send) };
}

describe.each<SuiteSpec>([1, 2, 3, 4])('suite %i with a real group', (spec) => {
  it('proves membership and ends with an identity', async () => {
    const run = await claim(spec);
    expect(equal(run.claim.gid, groupId(primitives, gpk, basename))).toBe(true);
    expect(await verifier.verify(run.claim.daaSignature, run.claim.daaMessage)).toBe(true);
    expect(run.claim.pseudonym).toEqual(pseudonymOf(run.claim.daaSignature));
    const finished = server.assign(run.claim, fixture.identity);
    expect(client.finish(run.claimed.next, finished)).toEqual(fixture.identity);
  });
});

describe('membership', () => {
  it('is not proven by a signature for another handshake', async () => {
    const run = await claim(1, (message) => message.with(0, message[0]! ^ 1));
    expect(await verifier.verify(run.claim.daaSignature, run.claim.daaMessage)).toBe(false);
  });

  it('shows the same pseudonym in every handshake', async () => {
    const [a, b] = [await claim(1), await claim(3)];
    expect(a.claim.pseudonym).toEqual(b.claim.pseudonym);
    expect(a.claim.daaSignature).not.toEqual(b.claim.daaSignature);
  });
});
