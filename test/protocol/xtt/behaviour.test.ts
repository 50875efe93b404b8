import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { fromHex } from '../../../protocol/bytes.ts';
import * as client from '../../../protocol/xtt/client.ts';
import { announcedLength, decodeServerFinished, ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import * as server from '../../../protocol/xtt/server.ts';
import { refusal } from '../../refusals.ts';
import * as fixture from './fixture.ts';
import { behaviour } from './vectors.ts';

/**
 * The C server's recorded behaviour and ours beside it. What it refuses we refuse; where it leaked a socket or died
 * we refuse as cleanly. Refusals that need the group's key (DAA signature, GID) are the caller's, after openClaim.
 */

const CLIENT_INITS: Record<string, { header: string; body: string }> = {
  'clientinit version 2': { header: 'xtt.bad-header', body: 'xtt.bad-version' },
  'clientinit suite 0': { header: 'accepted', body: 'xtt.unknown-suite' },
  'clientinit suite 5': { header: 'accepted', body: 'xtt.unknown-suite' },
  'clientinit length 71 (+1 byte)': { header: 'xtt.bad-header', body: 'xtt.bad-length' },
  'clientinit length 800': { header: 'xtt.bad-header', body: 'xtt.bad-length' },
  'clientinit length 3': { header: 'xtt.bad-header', body: 'xtt.bad-length' },
  'clientinit type 0x11': { header: 'xtt.bad-header', body: 'xtt.bad-type' },
  'clientinit type 0x55': { header: 'xtt.bad-header', body: 'xtt.bad-type' },
  'clientinit is an error message': { header: 'accepted', body: 'xtt.error-received' },
  'clientinit all-zero x25519 key': { header: 'accepted', body: 'xtt.weak-share' },
};

describe('ClientInit as it was sent to the C server', () => {
  it.each(Object.entries(CLIENT_INITS))('%s', (name, expected) => {
    const sent = fromHex(behaviour[name]!.sent!);
    expect(behaviour[name]!.accepted).not.toBe(true);
    expect(refusal(() => announcedLength(sent.subarray(0, 4)))).toBe(expected.header);
    expect(refusal(() => fixture.greet(sent))).toBe(expected.body);
  });

  it('is all there is in the table', () => {
    const recorded = Object.keys(behaviour).filter((name) => behaviour[name]!.sent !== undefined);
    expect(Object.keys(CLIENT_INITS).sort()).toEqual(recorded.sort());
  });
});

type Mutation = (attest: Uint8Array) => Uint8Array;
const set =
  (at: number, value: number): Mutation =>
  (attest) =>
    attest.with(at, value);
const flip =
  (at: number): Mutation =>
  (attest) =>
    attest.with(at, attest[at]! ^ 1);

const CLIENT_ATTESTS: Record<string, { mutate: Mutation; code: string }> = {
  'clientattest ciphertext bit flipped': { mutate: flip(300), code: 'xtt.not-authentic' },
  'clientattest tag bit flipped': { mutate: flip(749), code: 'xtt.not-authentic' },
  'clientattest cookie bit flipped': { mutate: flip(50), code: 'xtt.bad-cookie' },
  'clientattest version 2': { mutate: set(3, 2), code: 'xtt.bad-version' },
  'clientattest suite changed': { mutate: set(5, 2), code: 'xtt.wrong-suite' },
  'clientattest length 749': {
    mutate: (attest) => attest.with(2, 0xed).slice(0, 749),
    code: 'xtt.bad-length',
  },
  'clientattest type 0x21': { mutate: set(0, 0x21), code: 'xtt.bad-type' },
  'clientattest type 0x99': { mutate: set(0, 0x99), code: 'xtt.bad-type' },
  'client sends error message instead of attest': { mutate: () => ERROR_MESSAGE, code: 'xtt.error-received' },
};

describe('Identity_ClientAttest, mutated as for the C server', () => {
  it.each(Object.entries(CLIENT_ATTESTS))('%s', (name, { mutate, code }) => {
    expect(behaviour[name]!.accepted).not.toBe(true);
    const { send, next } = fixture.hello(1);
    const answered = fixture.answer(send);
    const { send: attest } = fixture.identify(client.attest(next, answered.send, [fixture.root]));
    expect(refusal(() => server.openClaim(answered.next, mutate(attest)))).toBe(code);
  });
});

/** What a client with the group's key can do inside the AEAD. */
const CLAIMS: Record<
  string,
  { change: (attesting: client.Attesting) => Partial<client.Claim>; code: string }
> = {
  'client signatures over the draft-spec hash (full transcript)': {
    change: () => ({ longtermSignature: fixture.signAsDevice(primitives.random(64)) }),
    code: 'xtt.bad-longterm-signature',
  },
  'longterm key replaced after signing by another valid point (sigs unchanged)': {
    change: () => ({ longtermPublicKey: fixture.otherKey }),
    code: 'xtt.bad-longterm-signature',
  },
  'longterm signature bit flipped': {
    change: ({ longtermMessage }) => ({ longtermSignature: flip(40)(fixture.signAsDevice(longtermMessage)) }),
    code: 'xtt.bad-longterm-signature',
  },
  'longterm key not on curve': {
    change: () => ({ longtermPublicKey: flip(64)(fixture.longtermPublicKey) }),
    code: 'xtt.bad-longterm-signature',
  },
  // The signatures do not cover it (§7.1): the identity policy has to decide, not the handshake.
  'requested id changed after signing': {
    change: () => ({ requestedIdentity: new Uint8Array(16).fill(0xaa) }),
    code: 'accepted',
  },
};

describe('claims, mutated as for the C server', () => {
  it.each(Object.entries(CLAIMS))('%s', (name, { change, code }) => {
    expect(behaviour[name]!.accepted === true).toBe(code === 'accepted');
    const { send, next } = fixture.hello(1);
    const answered = fixture.answer(send);
    const attesting = client.attest(next, answered.send, [fixture.root]);
    const { send: attest } = fixture.identify(attesting, change(attesting));
    expect(refusal(() => server.openClaim(answered.next, attest))).toBe(code);
  });
});

describe('responses of the C server', () => {
  it.each(Object.entries(behaviour))('%s: well-formed or an Error', (_name, { response, accepted }) => {
    const bytes = fromHex(response);
    if (accepted) expect(decodeServerFinished(bytes).sealed).toHaveLength(97);
    else if (bytes.length > 0) expect(bytes).toEqual(ERROR_MESSAGE);
  });
});
