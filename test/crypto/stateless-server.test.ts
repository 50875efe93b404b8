import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { curves } from '../../crypto/curves.ts';
import { generateP256, primitives } from '../../crypto/primitives.ts';
import { nativeServer } from '../../crypto/stateless-server.ts';
import { addon } from '../../native/index.ts';
import { XTT_OPENED, XTT_REFUSAL } from '../../native/xtt/xtt.ts';
import { concat, readU32 } from '../../protocol/bytes.ts';
import type { SuiteSpec } from '../../protocol/crypto/suite.ts';
import { orFailure } from '../../protocol/failure.ts';
import * as client from '../../protocol/xtt/client.ts';
import type { CookieOptions } from '../../protocol/xtt/cookie-keys.ts';
import { FIELD_LENGTH } from '../../protocol/xtt/message.ts';
import { hintedNonce } from '../../protocol/xtt/root-hint.ts';
import { type OpenedClaim, portableServer, type StatelessServer } from '../../protocol/xtt/stateless.ts';
import * as fixture from '../protocol/xtt/fixture.ts';
import { refusal } from '../refusals.ts';

const native = addon();
const suites: readonly SuiteSpec[] = [1, 2, 3, 4];

/** Draws bytes that are the same for all who draw from a new one of these, however many at a time. */
function drawing(seed: number) {
  let [drawn, blocks] = [new Uint8Array(0), seed];
  return {
    ...primitives,
    random(length: number) {
      while (drawn.length < length)
        drawn = new Uint8Array(concat(drawn, primitives.sha512(Uint8Array.of(blocks++, blocks >> 8))));
      const given = drawn.slice(0, length);
      drawn = drawn.slice(length);
      return given;
    },
  };
}

type Make = (seed?: number, options?: CookieOptions) => StatelessServer;
const inC: Make = (seed = 1, options) => nativeServer(native, drawing(seed), [fixture.serverKey], options);
const inTypeScript: Make = (seed = 1, options) =>
  portableServer(drawing(seed), curves().signer, [fixture.serverKey], options);
const both: readonly (readonly [string, Make])[] = [
  ['C', inC],
  ['TypeScript', inTypeScript],
];

/** A handshake up to its claim, which is returned. */
function claimed(server: StatelessServer, spec: SuiteSpec): Uint8Array {
  const { send, next } = fixture.hello(spec);
  return fixture.identify(client.attest(next, server.answer(0, send), [fixture.root])).send;
}

const fields = ({ assign: _, forget: __, ...claim }: OpenedClaim): Record<string, unknown> => ({
  suite: claim.suite,
  gid: claim.gid,
  pseudonym: claim.pseudonym,
  requestedIdentity: claim.requestedIdentity,
  longtermPublicKey: claim.longtermPublicKey,
  daaSignature: claim.daaSignature,
  daaMessage: claim.daaMessage,
});

describe('in C and in TypeScript, with the same draws', () => {
  it.each(suites)('all messages of suite %i are the same bytes', (spec) => {
    const [ours, theirs] = [inC(), inTypeScript()];
    for (let turn = 0; turn < 3; turn++) {
      const { send, next } = fixture.hello(spec);
      const reply = ours.answer(turn, send);
      expect(theirs.answer(turn, send)).toEqual(reply);
      const { send: attest, next: waiting } = fixture.identify(client.attest(next, reply, [fixture.root]));
      const [opened, also] = [ours.open(turn, attest), theirs.open(turn, attest)];
      expect(fields(opened)).toEqual(fields(also));
      expect(opened.gid).toEqual(fixture.gid);
      const finished = opened.assign(fixture.identity);
      expect(also.assign(fixture.identity)).toEqual(finished);
      expect(client.finish(waiting, finished)).toEqual(fixture.identity);
    }
  });

  it('any bytes in a ClientInit are answered the same', () => {
    const [ours, theirs] = [inC(), inTypeScript()];
    const body = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(fc.constantFrom(...suites), body, fc.nat(50_000), (spec, rest, ms) => {
        const hello = concat(Uint8Array.of(1, 0, 70, 1, 0, spec), rest);
        const answered = (server: StatelessServer): unknown => {
          let reply: unknown;
          const code = refusal(() => {
            reply = server.answer(ms % 9, hello);
          });
          return { code, reply };
        };
        expect(answered(ours)).toEqual(answered(theirs));
      }),
      { numRuns: 40 },
    );
  });

  it('a claim with any flipped bit is refused for the same reason', () => {
    for (const spec of suites) {
      for (let bit = 0; bit < 8 * 750; bit += 97) {
        const [ours, theirs] = [inC(), inTypeScript()];
        const attest = claimed(ours, spec);
        claimed(theirs, spec);
        const flipped = attest.with(bit >> 3, attest[bit >> 3]! ^ (1 << (bit & 7)));
        const code = refusal(() => theirs.open(0, flipped));
        expect(code).not.toBe('accepted');
        expect(
          refusal(() => ours.open(0, flipped)),
          `bit ${bit} of suite ${spec}`,
        ).toBe(code);
      }
    }
  });
});

describe.each(both)('in %s', (_, make) => {
  it('a cookie is spent once, in time, with its own key', () => {
    const server = make(1, { lifetimeMs: 1_000, rotationMs: 2_000 });
    const first = claimed(server, 1);
    expect(refusal(() => make(9).open(0, first))).toBe('xtt.bad-cookie');
    expect(refusal(() => server.open(1_000, first))).toBe('xtt.expired-cookie');
    expect(refusal(() => server.open(999, first))).toBe('accepted');
    expect(refusal(() => server.open(999, first))).toBe('xtt.spent-cookie');
    const forged = claimed(server, 1);
    forged[140]! ^= 1;
    expect(refusal(() => server.open(999, forged))).toBe('xtt.not-authentic');
    forged[140]! ^= 1;
    expect(refusal(() => server.open(999, forged))).toBe('xtt.spent-cookie');
  });

  it('answers several at once, and refuses among them whom it would refuse alone', () => {
    const hello = (i: number): Uint8Array => fixture.hello(suites[i % suites.length]!).send;
    const weak = concat(hello(0).subarray(0, 38), new Uint8Array(32));
    const hellos = [
      ...Array.from({ length: 11 }, (_, i) => hello(i)),
      ...[weak, hello(0).with(5, 5), hello(0).subarray(0, 69)],
      ...[hello(1), hello(2), hello(3)],
    ];
    const [together, alone] = [make(1, { capacity: 14 }), make(1, { capacity: 14 })];
    const seen = together.answerAll(0, hellos);
    expect(seen).toEqual(hellos.map((each) => orFailure(() => alone.answer(0, each))));
    const refused = seen.map((each) => (each instanceof Uint8Array ? 'answered' : each.code));
    expect(refused.slice(10)).toEqual([
      ...['answered', 'xtt.weak-share', 'xtt.unknown-suite', 'xtt.bad-length'],
      ...['answered', 'answered', 'xtt.cookie-jar-full'],
    ]);
    expect(together.answerAll(0, [])).toEqual([]);
  });

  it('a key issues so many cookies and no more, and is gone when they have expired', () => {
    const server = make(1, { lifetimeMs: 1_000, rotationMs: 2_000, capacity: 9 });
    const claims = Array.from({ length: 9 }, () => claimed(server, 3));
    expect(refusal(() => claimed(server, 3))).toBe('xtt.cookie-jar-full');
    for (const each of claims.slice(1)) expect(refusal(() => server.open(900, each))).toBe('accepted');
    server.sweep(3_000);
    expect(refusal(() => server.open(3_000, claims[0]!))).toBe('xtt.bad-cookie');
  });

  it('refuses shares of small order, other suites than those of the ClientInit, and messages that are none', () => {
    const server = make();
    const { send } = fixture.hello(1);
    for (const small of [new Uint8Array(32), new Uint8Array(32).with(0, 1)])
      expect(refusal(() => server.answer(0, concat(send.subarray(0, 38), small)))).toBe('xtt.weak-share');
    expect(refusal(() => server.answer(0, send.with(5, 5)))).toBe('xtt.unknown-suite');
    expect(refusal(() => server.answer(0, send.subarray(0, 69)))).toBe('xtt.bad-length');
    const attest = claimed(server, 1);
    expect(() => server.open(0, attest.with(5, 3))).toThrow(
      expect.objectContaining({
        code: 'xtt.wrong-suite',
        message: expect.stringContaining('expected suite 1, got 3'),
      }),
    );
    expect(refusal(() => server.open(0, attest.subarray(0, 749)))).toBe('xtt.bad-length');
  });

  it('refuses a longterm signature of another key or over something else', () => {
    for (const change of [
      { longtermPublicKey: fixture.otherKey },
      { longtermSignature: new Uint8Array(64).fill(7) },
    ]) {
      const server = make();
      const { send, next } = fixture.hello(2);
      const attesting = client.attest(next, server.answer(0, send), [fixture.root]);
      const { send: attest } = fixture.identify(attesting, change);
      expect(refusal(() => server.open(0, attest))).toBe('xtt.bad-longterm-signature');
    }
  });

  it('answers by the hint of a root, and opens what was answered with the certificate before, but not with the one before that', () => {
    const other = {
      ...fixture.serverKey,
      root: concat(fixture.root.subarray(1), fixture.root.subarray(0, 1)),
    };
    const [second, third] = [generateP256(), generateP256()].map(({ secret }) => ({ ...other, key: secret }));
    const server = make();
    server.replace(0, [second!, fixture.serverKey]);
    const nonce = hintedNonce(primitives, fixture.root);
    const claims = [0, 1].map(() => {
      const opened = client.hello(primitives, 1, { dhSecret: primitives.random(32), nonce });
      return fixture.identify(client.attest(opened.next, server.answer(1, opened.send), [fixture.root])).send;
    });
    expect(refusal(() => claimed(server, 1))).toBe('xtt.bad-server-signature');
    server.replace(2, [third!]);
    expect(refusal(() => server.open(3, claims[0]!))).toBe('accepted');
    server.replace(4, [third!]);
    expect(refusal(() => server.open(5, claims[1]!))).toBe('xtt.bad-longterm-signature');
  });

  it('assigns once: the keys are wiped then, or when they are forgotten', () => {
    const server = make();
    const once = server.open(0, claimed(server, 4));
    const finished = once.assign(fixture.identity);
    expect(once.assign(fixture.identity)).not.toEqual(finished);
    const left = server.open(0, claimed(server, 4));
    left.forget();
    const wiped = server.open(0, claimed(server, 4));
    wiped.forget();
    expect(left.assign(fixture.identity)).toEqual(wiped.assign(fixture.identity));
  });
});

describe('the addon', () => {
  const algorithms = native.xttAlgorithms();
  const key = native.xttCookieKey(primitives.random(64));
  const { root, certificate, key: secret } = fixture.serverKey;
  const credentials = native.xttCredentials(root.slice(0, 8), certificate, secret);
  const { send } = fixture.hello(1);
  const spent = new Uint8Array(8);
  const tickets = (...serials: number[]): Uint8Array =>
    new Uint8Array(Uint32Array.from(serials.flatMap((serial) => [1, serial, 3, 4_000])).buffer);
  const answer = (with_: unknown, hellos: unknown, ticket: unknown = tickets(0)): unknown =>
    native.xttAnswer(algorithms, with_ as never, credentials, ticket as Uint8Array, hellos as Uint8Array);
  const open = (attest: unknown, bits: unknown = spent, former: unknown = undefined): unknown =>
    native.xttOpen(
      algorithms,
      key,
      credentials,
      former as never,
      0,
      bits as Uint8Array,
      attest as Uint8Array,
    );

  it('puts id, serial number and salt in front of a cookie', () => {
    const cookie = (answer(key, send, tickets(2)) as Uint8Array).subarray(38);
    expect([0, 4, 8].map((at) => readU32(cookie, at))).toEqual([1, 2, 3]);
  });

  it('refuses arguments of wrong kinds and lengths', () => {
    const none = new Uint8Array(0);
    for (const bad of [
      undefined,
      none,
      new Uint8Array(69),
      send.with(5, 0),
      send.with(4, 1),
      send.with(5, 5),
    ])
      expect(() => answer(key, bad)).toThrow(TypeError);
    expect(() => answer(key, concat(send, send.with(5, 5)), tickets(0, 1))).toThrow(TypeError);
    for (const bad of [null, none, tickets(0, 1), tickets(0).subarray(1)])
      expect(() => answer(key, send, bad)).toThrow(TypeError);
    expect(() => answer(key, none, none)).toThrow(TypeError);
    for (const bad of [{}, undefined, credentials]) expect(() => answer(bad, send)).toThrow(TypeError);
    for (const bad of [undefined, new Uint8Array(749), 'text']) expect(() => open(bad)).toThrow(TypeError);
    expect(() => open(new Uint8Array(750), null)).toThrow(TypeError);
    expect(() => open(new Uint8Array(750), spent, key)).toThrow(TypeError);
    expect(() => open(new Uint8Array(750), spent, null)).toThrow(TypeError);
    expect(() => native.xttCookieKey(new Uint8Array(63))).toThrow(TypeError);
    expect(() => native.xttCredentials(root.slice(0, 8), certificate, new Uint8Array(32))).toThrow(TypeError);
    expect(() => native.xttCredentials(root.slice(0, 7), certificate, secret)).toThrow(TypeError);
    expect(() => native.xttCredentials(new Uint8Array(0), new Uint8Array(0), new Uint8Array(0))).toThrow(
      TypeError,
    );
    const identity = new Uint8Array(16);
    expect(() => native.xttFinish(algorithms, 1, new Uint8Array(XTT_OPENED.length - 1), identity)).toThrow(
      TypeError,
    );
    expect(() => native.xttFinish(algorithms, 0, new Uint8Array(XTT_OPENED.length), identity)).toThrow(
      TypeError,
    );
    expect(() =>
      native.xttFinish(algorithms, 1, new Uint8Array(XTT_OPENED.length), identity.subarray(1)),
    ).toThrow(TypeError);
  });

  it('takes a serial number beyond the bits for a spent one', () => {
    const attest = (serial: number): Uint8Array => {
      const { send, next } = fixture.hello(1);
      return fixture.identify(
        client.attest(next, answer(key, send, tickets(serial)) as Uint8Array, [fixture.root]),
      ).send;
    };
    expect(open(attest(63))).toHaveLength(XTT_OPENED.length);
    expect(spent.at(-1)).toBe(0x80);
    expect(open(attest(64))).toBe(XTT_REFUSAL.spentCookie);
    expect(open(attest(2 ** 32 - 1))).toBe(XTT_REFUSAL.spentCookie);
  });

  it('answers any number of them as each by itself', () => {
    const hellos = Array.from({ length: 21 }, (_, i) => fixture.hello(suites[i % suites.length]!).send);
    const together = answer(key, concat(...hellos), tickets(...hellos.keys())) as Uint8Array;
    const alone = hellos.map((hello, i) => answer(key, hello, tickets(i)) as Uint8Array);
    expect(together).toEqual(concat(...alone));
  });

  it('uses no key that was forgotten', () => {
    const gone = native.xttCookieKey(primitives.random(64));
    native.xttForgetKey(gone);
    native.xttForgetKey(gone);
    expect(() => answer(gone, send)).toThrow(TypeError);
  });

  it('has the sizes that its types say', () => {
    expect(XTT_OPENED.keys - XTT_OPENED.daaMessage).toBe(64);
    expect(XTT_OPENED.length - XTT_OPENED.keys).toBe(FIELD_LENGTH.share + 12);
  });
});

it('a server of the addon is the one that programs get', () => {
  const { send } = fixture.hello(1);
  const server = curves().server([fixture.serverKey]);
  expect(server.answer(0, send)).toHaveLength(417);
});
