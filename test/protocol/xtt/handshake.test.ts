import { describe, expect, it } from 'vitest';
import { ecdsaSigner, primitives } from '../../../crypto/primitives.ts';
import { concat } from '../../../protocol/bytes.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { makeServerCertificate } from '../../../protocol/xtt/certificate.ts';
import * as client from '../../../protocol/xtt/client.ts';
import { ERROR_MESSAGE, encodeClientAttest } from '../../../protocol/xtt/message.ts';
import * as server from '../../../protocol/xtt/server.ts';
import { refusal } from '../../refusals.ts';
import * as fixture from './fixture.ts';

const SPECS: readonly SuiteSpec[] = [1, 2, 3, 4];
const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
  bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7)));

/** One bit of every byte, another one each run, and all bits of the clear header. */
function sampledBits(length: number): number[] {
  const noise = primitives.random(length);
  const header = Array.from({ length: 6 * 8 }, (_, bit) => bit);
  const body = Array.from({ length: length - 6 }, (_, i) => (i + 6) * 8 + (noise[i]! & 7));
  return [...header, ...body];
}

/** The step that receives each message, started afresh, since a step wipes what it used. */
function receivers(spec: SuiteSpec) {
  const recorded = fixture.handshake(spec);
  const awaitingFinish = () => {
    const { next } = fixture.hello(spec);
    return fixture.identify(client.attest(next, recorded.serverInit, [fixture.root])).next;
  };
  return {
    clientInit: {
      message: recorded.clientInit,
      receive: (message: Uint8Array) => fixture.greet(message),
    },
    serverInit: {
      message: recorded.serverInit,
      receive: (message: Uint8Array) => client.attest(fixture.hello(spec).next, message, [fixture.root]),
    },
    clientAttest: {
      message: recorded.clientAttest,
      receive: (message: Uint8Array) => server.openClaim(fixture.answer(recorded.clientInit).next, message),
    },
    serverFinished: {
      message: recorded.serverFinished,
      receive: (message: Uint8Array) => client.finish(awaitingFinish(), message),
    },
  };
}

describe.each(SPECS)('suite %i', (spec) => {
  it('runs from hello to identity', () => {
    const run = fixture.handshake(spec);
    expect(run.assigned).toEqual(fixture.identity);
    expect(run.claim).toMatchObject({
      gid: fixture.gid,
      longtermPublicKey: fixture.longtermPublicKey,
      requestedIdentity: new Uint8Array(16),
      daaSignature: fixture.daaSignature,
      pseudonym: fixture.daaSignature.slice(-65),
    });
    expect(run.claim.daaMessage).toEqual(run.attesting.daaMessage);
    expect(
      [run.clientInit, run.serverInit, run.clientAttest, run.serverFinished].map((m) => m.length),
    ).toEqual([70, 417, 750, 103]);
  });

  it('grants the identity that was asked for, and no other', () => {
    expect(fixture.handshake(spec, fixture.identity).assigned).toEqual(fixture.identity);
    const other = fixture.identity.with(15, fixture.identity[15]! ^ 1);
    expect(refusal(() => fixture.handshake(spec, other))).toBe('xtt.wrong-identity');
  });

  it('refuses ServerInitAndAttest with any bit flipped', () => {
    const { message, receive } = receivers(spec).serverInit;
    for (const bit of sampledBits(message.length)) {
      const code = refusal(() => receive(flip(message, bit)));
      expect(code, `bit ${bit}`).toMatch(bit < 48 ? CLEAR : /^xtt\.not-authentic$/);
    }
    expect(refusal(() => receive(message))).toBe('accepted');
  });

  it('refuses Identity_ClientAttest with any bit flipped', () => {
    const { message, receive } = receivers(spec).clientAttest;
    for (const bit of sampledBits(message.length)) {
      const code = refusal(() => receive(flip(message, bit)));
      const expected = bit < 48 ? CLEAR : bit < 136 * 8 ? /^xtt\.bad-cookie$/ : /^xtt\.not-authentic$/;
      expect(code, `bit ${bit}`).toMatch(expected);
    }
    expect(refusal(() => receive(message))).toBe('accepted');
  });

  it('refuses Identity_ServerFinished with any bit flipped', () => {
    const { message, receive } = receivers(spec).serverFinished;
    for (const bit of sampledBits(message.length)) {
      const code = refusal(() => receive(flip(message, bit)));
      expect(code, `bit ${bit}`).toMatch(bit < 48 ? CLEAR : /^xtt\.not-authentic$/);
    }
    expect(refusal(() => receive(message))).toBe('accepted');
  });

  it('refuses ClientInit with any bit flipped: in the header at once, else when the answer does not fit', () => {
    const { message } = receivers(spec).clientInit;
    for (const bit of sampledBits(message.length)) {
      // A flipped nonce, share or (another known) suite is a fine ClientInit. But it is not the client's own.
      const code = refusal(() => {
        const { send } = fixture.answer(flip(message, bit));
        client.attest(fixture.hello(spec).next, send, [fixture.root]);
      });
      expect(code, `bit ${bit}`).toMatch(bit < 48 ? CLEAR : /^xtt\.not-authentic$/);
    }
  });

  it.each(['clientInit', 'serverInit', 'clientAttest', 'serverFinished'] as const)(
    'refuses a %s that is too short, too long, an Error or another message',
    (which) => {
      const all = receivers(spec);
      const { message, receive } = all[which];
      for (const length of [0, 1, 3, 4, 5, 6, 38, message.length - 1]) {
        expect(
          refusal(() => receive(message.slice(0, length))),
          `${length}`,
        ).toBe('xtt.bad-length');
      }
      expect(refusal(() => receive(concat(message, Uint8Array.of(0))))).toBe('xtt.bad-length');
      expect(refusal(() => receive(ERROR_MESSAGE))).toBe('xtt.error-received');
      for (const other of Object.values(all)) {
        if (other.message !== message) expect(refusal(() => receive(other.message))).toBe('xtt.bad-type');
      }
    },
  );

  it('refuses a message of another suite', () => {
    const other = (spec % 4) + 1;
    const all = receivers(spec);
    for (const which of ['serverInit', 'clientAttest', 'serverFinished'] as const) {
      const { message, receive } = all[which];
      expect(refusal(() => receive(message.with(5, other)))).toBe('xtt.wrong-suite');
      expect(refusal(() => receive(message.with(5, 5)))).toBe('xtt.unknown-suite');
      expect(refusal(() => receive(message.with(3, 2)))).toBe('xtt.bad-version');
    }
  });
});

/** What the clear header alone can be refused for. */
const CLEAR = /^xtt\.(bad-version|bad-type|bad-length|unknown-suite|wrong-suite)$/;

describe('the client refuses', () => {
  const attest = (roots: readonly Uint8Array[], answer = fixture.answer) => {
    const { send, next } = fixture.hello(1);
    return client.attest(next, answer(send).send, roots);
  };
  const answerWith =
    (certificate: Uint8Array, sign = fixture.signAsServer) =>
    (clientInit: Uint8Array) => {
      const state = { dhSecret: primitives.random(32), cookie: primitives.random(130) };
      const greeting = server.greet(primitives, { certificate }, clientInit, state);
      return server.answer(greeting, sign(greeting.serverMessage));
    };

  it('a server under a root it does not know: for the operator', () => {
    const stranger = fixture.root.with(0, fixture.root[0]! ^ 1);
    expect(() => attest([stranger])).toThrow(
      expect.objectContaining({ code: 'xtt.unknown-root', remedy: 'operator' }),
    );
    expect(refusal(() => attest([]))).toBe('xtt.unknown-root');
    expect(refusal(() => attest([stranger, fixture.root]))).toBe('accepted');
  });

  it('a malformed root certificate of its own: for the operator', () => {
    for (const bad of [
      fixture.root.slice(1),
      fixture.root.with(80, fixture.root[80]! ^ 1),
      new Uint8Array(81),
    ]) {
      expect(() => attest([bad])).toThrow(
        expect.objectContaining({ code: 'xtt.bad-root-certificate', remedy: 'operator' }),
      );
    }
  });

  it('a certificate that the root did not sign', async () => {
    const forged = await makeServerCertificate(
      { rootId: fixture.root.slice(0, 16), publicKey: fixture.serverPair.publicKey },
      ecdsaSigner(fixture.serverPair.secret),
    );
    expect(refusal(() => attest([fixture.root], answerWith(forged)))).toBe('xtt.bad-root-signature');
    const impostor = concat(fixture.root.subarray(0, 16), fixture.otherKey);
    expect(refusal(() => attest([impostor]))).toBe('xtt.bad-root-signature');
    expect(refusal(() => attest([impostor, fixture.root]))).toBe('accepted');
  });

  it('a server that does not hold the key in its certificate', () => {
    const other = answerWith(fixture.certificate, () => fixture.signAsDevice(new Uint8Array(64)));
    expect(refusal(() => attest([fixture.root], other))).toBe('xtt.bad-server-signature');
    const zero = answerWith(fixture.certificate, () => new Uint8Array(64));
    expect(refusal(() => attest([fixture.root], zero))).toBe('xtt.bad-server-signature');
  });

  it('a share of small order', () => {
    const { send, next } = fixture.hello(1);
    const reply = fixture.answer(send).send.slice();
    reply.fill(0, 6, 38);
    expect(refusal(() => client.attest(next, reply, [fixture.root]))).toBe('xtt.weak-share');
    expect(next.dhSecret).toEqual(new Uint8Array(32));
  });

  const finish = (change: Partial<server.Claim>, identity: Uint8Array) => {
    const { send, next } = fixture.hello(1);
    const answered = fixture.answer(send);
    const claimed = fixture.identify(client.attest(next, answered.send, [fixture.root]));
    const claim = server.openClaim(answered.next, claimed.send);
    return client.finish(claimed.next, server.assign({ ...claim, ...change }, identity));
  };

  it('an identity for another longterm key', () => {
    const failure = refusal(() => finish({ longtermPublicKey: fixture.otherKey }, fixture.identity));
    expect(failure).toBe('xtt.wrong-longterm-key');
    expect(finish({}, fixture.identity)).toEqual(fixture.identity);
  });

  it('the all-zero identity', () => {
    expect(refusal(() => finish({}, new Uint8Array(16)))).toBe('xtt.wrong-identity');
  });

  it('with remedy retry, whatever came over the wire', () => {
    const { send, next } = fixture.hello(1);
    const reply = fixture.answer(send).send;
    expect(() => client.attest(next, reply.with(200, reply[200]! ^ 1), [fixture.root])).toThrow(
      expect.objectContaining({ code: 'xtt.not-authentic', remedy: 'retry' }),
    );
    expect(() => client.attest(fixture.hello(1).next, ERROR_MESSAGE, [fixture.root])).toThrow(
      expect.objectContaining({ code: 'xtt.error-received', remedy: 'retry' }),
    );
  });
});

describe('the server refuses', () => {
  const claim = (change: Partial<client.Claim>) => {
    const { send, next } = fixture.hello(1);
    const answered = fixture.answer(send);
    const attesting = client.attest(next, answered.send, [fixture.root]);
    return server.openClaim(answered.next, fixture.identify(attesting, change).send);
  };

  it('a longterm signature by another key, over another message, or absent', () => {
    for (const change of [
      { longtermPublicKey: fixture.otherKey },
      { longtermSignature: fixture.signAsDevice(new Uint8Array(64)) },
      { longtermSignature: new Uint8Array(64) },
      { longtermPublicKey: new Uint8Array(65) },
      { longtermPublicKey: fixture.longtermPublicKey.with(64, fixture.longtermPublicKey[64]! ^ 1) },
    ]) {
      expect(refusal(() => claim(change))).toBe('xtt.bad-longterm-signature');
    }
    expect(refusal(() => claim({}))).toBe('accepted');
  });

  it('a share of small order, and wipes its secret', () => {
    const { send } = fixture.hello(1);
    const weak = send.slice().fill(0, 38);
    const state = { dhSecret: primitives.random(32), cookie: primitives.random(130) };
    const greeting = () => server.greet(primitives, { certificate: fixture.certificate }, weak, state);
    expect(refusal(greeting)).toBe('xtt.weak-share');
    expect(state.dhSecret).toEqual(new Uint8Array(32));
  });

  it('another session’s claim', () => {
    const first = fixture.handshake(1);
    const state = { dhSecret: primitives.random(32), cookie: primitives.random(130) };
    const greeting = server.greet(primitives, { certificate: fixture.certificate }, first.clientInit, state);
    const { next } = server.answer(greeting, fixture.signAsServer(greeting.serverMessage));
    expect(refusal(() => server.openClaim(next, first.clientAttest))).toBe('xtt.bad-cookie');
  });
});

describe('[H-B9] a client that gives up', () => {
  const zero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

  it('wipes what the step holds, whichever it is', () => {
    const { send, next } = fixture.hello(1);
    client.abandon(next);
    expect(zero(next.dhSecret)).toBe(true);

    const again = fixture.hello(1);
    const attesting = client.attest(again.next, fixture.answer(send).send, [fixture.root]);
    const { keys } = attesting;
    expect(zero(keys.client.key) || zero(keys.server.key)).toBe(false);
    client.abandon(attesting);
    expect([keys.client.key, keys.client.iv, keys.server.key, keys.server.iv].every(zero)).toBe(true);
  });
});

describe('mistakes of the caller are plain errors', () => {
  it('a claim with fields of wrong sizes', () => {
    const { send, next } = fixture.hello(1);
    const attesting = client.attest(next, fixture.answer(send).send, [fixture.root]);
    const short = () => fixture.identify(attesting, { daaSignature: new Uint8Array(356) });
    expect(short).toThrow(/daaSignature has 421 bytes, not 356/);
    expect(() => encodeClientAttest({ suite: 1, cookie: new Uint8Array(129) })).toThrow(
      /cookie has 130 bytes/,
    );
  });
});
