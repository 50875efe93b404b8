import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import * as client from '../../../protocol/xtt/client.ts';
import { type CookieJar, cookieJar } from '../../../protocol/xtt/cookie.ts';
import type { CookieOptions } from '../../../protocol/xtt/cookie-keys.ts';
import { decodeClientAttest } from '../../../protocol/xtt/message.ts';
import * as server from '../../../protocol/xtt/server.ts';
import { refusal } from '../../refusals.ts';
import * as fixture from './fixture.ts';

/** Its header as the protocol has it: a cookie does not keep what is always the same. */
const clientInit = concat(Uint8Array.of(0x01, 0, 70, 1), primitives.random(66));
const jar = (options?: CookieOptions): CookieJar => cookieJar(primitives, options);

describe('a cookie', () => {
  it('is redeemed for the ClientInit and the key exchange it was issued with', () => {
    const cookies = jar();
    const secret = primitives.random(32);
    const hello = concat(clientInit.subarray(0, 38), primitives.x25519Public(secret));
    const { cookie, share, shared } = cookies.issue(1000, hello);
    expect(cookie).toHaveLength(130);
    expect(shared).toEqual(primitives.x25519(secret, share));
    expect(cookies.redeem(2000, cookie)).toEqual({ clientInit: hello, share, shared });
  });

  it('reveals nothing of its content, and is different each time', () => {
    const cookies = jar();
    const [a, b] = [cookies.issue(0, clientInit), cookies.issue(0, clientInit)];
    expect(a.cookie.slice(4, 8)).not.toEqual(b.cookie.slice(4, 8));
    for (let i = 12; i < 130; i += 8) expect(a.cookie.slice(i, i + 8)).not.toEqual(b.cookie.slice(i, i + 8));
    for (const secret of [clientInit.subarray(6), clientInit.subarray(38), a.shared]) {
      expect(toHex(a.cookie).includes(toHex(secret.subarray(0, 8)))).toBe(false);
    }
  });

  it('of the next key has another share, and the old secret is wiped with its key', () => {
    const forgotten: Uint8Array[] = [];
    const watched = {
      ...primitives,
      x25519Key(secret: Uint8Array) {
        const key = primitives.x25519Key(secret);
        return { ...key, forget: () => forgotten.push(key.share) && key.forget() };
      },
    };
    const cookies = cookieJar(watched, { rotationMs: 60_000, lifetimeMs: 30_000 });
    const first = cookies.issue(0, clientInit);
    const second = cookies.issue(60_000, clientInit);
    expect(second.share).not.toEqual(first.share);
    expect(forgotten).toEqual([]);
    cookies.issue(90_000, clientInit);
    expect(forgotten).toEqual([first.share]);
  });

  it('leaves no key in memory when none is issued any more: sweeping wipes the secrets of the last handshakes', () => {
    const forgotten: Uint8Array[] = [];
    const sealKeys: Uint8Array[] = [];
    const watched = {
      ...primitives,
      seal(...parts: Parameters<typeof primitives.seal>) {
        sealKeys.push(parts[1]);
        return primitives.seal(...parts);
      },
      x25519Key(secret: Uint8Array) {
        const key = primitives.x25519Key(secret);
        return { ...key, forget: () => forgotten.push(key.share) && key.forget() };
      },
    };
    const cookies = cookieJar(watched, { rotationMs: 60_000, lifetimeMs: 30_000 });
    const first = cookies.issue(0, clientInit);
    const second = cookies.issue(60_000, clientInit);
    cookies.sweep(89_999);
    expect(forgotten).toEqual([]);
    cookies.sweep(90_000);
    expect(forgotten).toEqual([first.share]);
    cookies.sweep(149_999);
    expect(refusal(() => cookies.redeem(89_999, second.cookie))).toBe('accepted');
    cookies.sweep(150_000);
    expect(forgotten).toEqual([first.share, second.share]);
    expect(sealKeys.every((key) => key.every((byte) => byte === 0))).toBe(true);
    expect(refusal(() => cookies.redeem(150_001, second.cookie))).toBe('xtt.bad-cookie');
    // A key that comes later is none that was.
    const third = cookies.issue(150_002, clientInit);
    expect([first, second].map(({ cookie }) => toHex(cookie.slice(0, 4)))).not.toContain(
      toHex(third.cookie.slice(0, 4)),
    );
    expect(third.share).not.toEqual(second.share);
  });

  it('is spent when it is redeemed', () => {
    const cookies = jar();
    const [first, second] = [cookies.issue(0, clientInit), cookies.issue(0, clientInit)];
    expect(refusal(() => cookies.redeem(1, first.cookie))).toBe('accepted');
    expect(refusal(() => cookies.redeem(2, first.cookie))).toBe('xtt.spent-cookie');
    expect(refusal(() => cookies.redeem(2, second.cookie))).toBe('accepted');
    expect(() => cookies.redeem(3, second.cookie)).toThrow(expect.objectContaining({ remedy: 'retry' }));
  });

  it('expires', () => {
    const cookies = jar({ lifetimeMs: 30_000 });
    const [a, b] = [cookies.issue(5000, clientInit), cookies.issue(5000, clientInit)];
    expect(refusal(() => cookies.redeem(34_999, a.cookie))).toBe('accepted');
    expect(refusal(() => cookies.redeem(35_000, b.cookie))).toBe('xtt.expired-cookie');
  });

  it('is refused with any bit flipped, at another length, or from another jar', () => {
    const cookies = jar();
    const { cookie } = cookies.issue(0, clientInit);
    for (let bit = 0; bit < cookie.length * 8; bit++) {
      const flipped = cookie.with(bit >> 3, cookie[bit >> 3]! ^ (1 << (bit & 7)));
      expect(
        refusal(() => cookies.redeem(1, flipped)),
        `bit ${bit}`,
      ).toBe('xtt.bad-cookie');
    }
    for (let length = 0; length < cookie.length; length += 10) {
      expect(refusal(() => cookies.redeem(1, cookie.slice(0, length)))).toBe('xtt.bad-cookie');
    }
    expect(refusal(() => cookies.redeem(1, concat(cookie, Uint8Array.of(0))))).toBe('xtt.bad-cookie');
    const sameId = {
      ...primitives,
      random: (length: number) => (length === 4 ? cookie.slice(0, 4) : primitives.random(length)),
    };
    const stranger = cookieJar(sameId);
    stranger.issue(0, clientInit);
    expect(refusal(() => stranger.redeem(1, cookie))).toBe('xtt.bad-cookie');
    expect(refusal(() => cookies.redeem(1, cookie))).toBe('accepted');
  });

  it('outlives one rotation of the key, but not its own lifetime', () => {
    const cookies = jar({ rotationMs: 60_000, lifetimeMs: 30_000 });
    cookies.issue(0, clientInit);
    const old = [0, 1].map(() => cookies.issue(59_000, clientInit).cookie);
    const next = cookies.issue(60_000, clientInit).cookie;
    expect(next.slice(0, 4)).not.toEqual(old[0]!.slice(0, 4));
    expect(refusal(() => cookies.redeem(88_999, old[0]!))).toBe('accepted');
    expect(refusal(() => cookies.redeem(88_999, old[0]!))).toBe('xtt.spent-cookie');
    expect(refusal(() => cookies.redeem(89_000, old[1]!))).toBe('xtt.expired-cookie');
    // When the old key's last cookie has expired, the key goes and takes its record of spent cookies along.
    expect(refusal(() => cookies.redeem(89_999, old[0]!))).toBe('xtt.expired-cookie');
    expect(refusal(() => cookies.redeem(90_000, old[0]!))).toBe('xtt.bad-cookie');
    expect(refusal(() => cookies.redeem(89_999, next))).toBe('accepted');
  });

  it('stays expired when the server slept for long', () => {
    const cookies = jar();
    const { cookie } = cookies.issue(0, clientInit);
    cookies.redeem(1, cookie);
    for (const nowMs of [1e6, 1e9, 1e12]) {
      expect(refusal(() => cookies.redeem(nowMs, cookie))).toMatch(/^xtt\.(bad|expired)-cookie$/);
    }
    const later = cookies.issue(1e12, clientInit);
    expect(refusal(() => cookies.redeem(1e12 + 1, later.cookie))).toBe('accepted');
  });

  it('behaves correctly among thousands of others, at random times', () => {
    const steps = fc.array(fc.tuple(fc.nat(20_000), fc.nat(3)), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, (steps) => {
        const cookies = jar({ rotationMs: 60_000, lifetimeMs: 30_000 });
        const issued: { cookie: Uint8Array; shared: Uint8Array; atMs: number; spent: boolean }[] = [];
        let nowMs = 0.25;
        for (const [stepMs, which] of steps) {
          nowMs += stepMs;
          issued.push({ ...cookies.issue(nowMs, clientInit), atMs: nowMs, spent: false });
          const entry = issued[Math.max(0, issued.length - 1 - which)]!;
          const outcome = refusal(() =>
            expect(cookies.redeem(nowMs, entry.cookie).shared).toEqual(entry.shared),
          );
          // A whole millisecond is what the cookie counts in.
          const fresh = nowMs < entry.atMs + 30_000 - 1;
          if (fresh && !entry.spent) expect(outcome).toBe('accepted');
          if (entry.spent || nowMs >= entry.atMs + 30_000) expect(outcome).not.toBe('accepted');
          entry.spent ||= outcome === 'accepted';
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('a jar', () => {
  it('issues no more than its capacity, until its key rotates', () => {
    const cookies = jar({ capacity: 10 });
    const issued = Array.from({ length: 10 }, () => cookies.issue(0, clientInit).cookie);
    expect(() => cookies.issue(59_999, clientInit)).toThrow(
      expect.objectContaining({ code: 'xtt.cookie-jar-full', remedy: 'retry' }),
    );
    for (const cookie of issued) expect(refusal(() => cookies.redeem(1, cookie))).toBe('accepted');
    for (const cookie of issued) expect(refusal(() => cookies.redeem(1, cookie))).toBe('xtt.spent-cookie');
    expect(refusal(() => cookies.issue(60_000, clientInit))).toBe('accepted');
  });

  it.each([{ lifetimeMs: 0 }, { lifetimeMs: 60_001 }, { rotationMs: 2 ** 31 }, { lifetimeMs: Number.NaN }])(
    'takes %j for a mistake of the caller',
    (options) => {
      expect(() => jar(options)).toThrow(/cookie/);
    },
  );

  it('throws a plain Error for bytes that are not a ClientInit', () => {
    expect(() => jar().issue(0, new Uint8Array(69))).toThrow(/ClientInit/);
  });
});

/** The whole server without state per half-open client: all it has when ClientAttest comes is its jar and its key. */
describe('a handshake over a cookie', () => {
  const config = { certificate: fixture.certificate };
  const open = (cookies: CookieJar) => {
    const { send, next } = fixture.hello(2);
    const greeting = server.greet(primitives, config, send, cookies.issue(0, send));
    const answered = server.answer(greeting, fixture.signAsServer(greeting.serverMessage));
    const claimed = fixture.identify(client.attest(next, answered.send, [fixture.root]));
    return { answered, claimed };
  };
  const resume = (cookies: CookieJar, nowMs: number, clientAttest: Uint8Array) => {
    const { cookie } = decodeClientAttest(clientAttest);
    const { clientInit, share, shared } = cookies.redeem(nowMs, cookie);
    const greeting = server.greet(primitives, config, clientInit, { share, shared, cookie });
    return server.answer(greeting, fixture.signAsServer(greeting.serverMessage));
  };

  it('computes the same answer again and finishes', () => {
    const cookies = jar();
    const { answered, claimed } = open(cookies);
    const again = resume(cookies, 1000, claimed.send);
    expect(again.send).toEqual(answered.send);
    const claim = server.openClaim(again.next, claimed.send);
    const finished = server.assign(claim, fixture.identity);
    expect(client.finish(claimed.next, finished)).toEqual(fixture.identity);
  });

  it('refuses the same ClientAttest a second time', () => {
    const cookies = jar();
    const { claimed } = open(cookies);
    resume(cookies, 1000, claimed.send);
    expect(refusal(() => resume(cookies, 1001, claimed.send))).toBe('xtt.spent-cookie');
  });
});
