import { beforeEach, describe, expect, test } from 'vitest';
import { type Endpoint, LOOKED_UP_AT_ONCE, type Standing } from '../../../fabric/registry/admission.ts';
import { REST_MS } from '../../../fabric/registry/postgres/times.ts';
import { type Questions, registryQuestions } from '../../../fabric/router/questions/authorize.ts';
import { AGAIN_MS, type Reviews, reviewsOf } from '../../../fabric/router/reviews.ts';
import type { Session } from '../../../fabric/router/session.ts';
import type { SessionTable } from '../../../fabric/router/sessions.ts';
import { concat, toHex, u32 } from '../../../protocol/bytes.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { fakeAdmission } from './fixture.ts';

const KEY = new Uint8Array(65).fill(4);
const GID = new Uint8Array(32);

const addressOf = (number: number): Uint8Array =>
  concat(parseIpv6('fd00:1::').subarray(0, 8), u32(1), u32(number));

let standings: Map<string, Standing>;
/** How many addresses were asked about, each time. */
let asked: number[];
/** Is called when addresses are asked about. */
let onAsked: (addresses: readonly Uint8Array[]) => void;
/** Is called when a session goes on. */
let onUpdated: () => void;
let broken: boolean;
/** Sessions that are there, by their addresses; and those that were cut. */
let present: Map<string, Session>;
let cut: string[];
let reviews: Reviews;

beforeEach(() => {
  [standings, asked, broken, present, cut] = [new Map(), [], false, new Map(), []];
  [onAsked, onUpdated] = [() => {}, () => {}];
  const endpoint = (address: Uint8Array): Endpoint => ({
    ...{ address, longtermKey: KEY, gid: GID, network: parsePrefix('fd00:1::/64') },
    standing: standings.get(toHex(address)) ?? 'active',
  });
  const admission = fakeAdmission();
  admission.holders = (addresses) => {
    asked.push(addresses.length);
    onAsked(addresses);
    if (broken) throw new Error('it is locked');
    return addresses.map(endpoint);
  };
  admission.lookup = (address) => admission.holders([address])[0];
  admission.vouches = () => {
    if (broken) throw new Error('it is locked');
    return true;
  };
  const questions: Questions = registryQuestions(admission, () => {});
  const sessions = {
    find: (address: Uint8Array) => present.get(toHex(address)),
    all: () => present.values(),
    cut: ({ address }: Session) => {
      cut.push(toHex(address));
      present.delete(toHex(address));
    },
    update: () => onUpdated(),
  } as unknown as SessionTable;
  reviews = reviewsOf({ questions, sessions, isSuperseded: () => false, againMs: 20 });
});

/** So many sessions; of devices with certificates if `vouched`. */
function sessionsOf(count: number, vouched = false): Session[] {
  const all = Array.from({ length: count }, (_, i) => {
    const address = addressOf(i);
    const key = vouched ? { provenKey: new Uint8Array(65), vouched: {} } : { provenKey: KEY };
    return { address, ...key } as unknown as Session;
  });
  for (const session of all) present.set(toHex(session.address), session);
  return all;
}

describe('[H-E] sessions are reviewed', () => {
  test('a hundred with one question, and those are cut that may not go on', async () => {
    const all = sessionsOf(2 * LOOKED_UP_AT_ONCE + 10);
    const gone = [0, LOOKED_UP_AT_ONCE, all.length - 1].map((i) => toHex(all[i]!.address));
    for (const name of gone) standings.set(name, 'banned');
    await reviews.some(all);
    expect(asked).toEqual([LOOKED_UP_AT_ONCE, LOOKED_UP_AT_ONCE, 10]);
    expect(cut).toEqual(gone);
    expect([...present.keys()]).toEqual(
      all.map(({ address }) => toHex(address)).filter((name) => !gone.includes(name)),
    );
  });

  test('fewer at once of devices with certificates, of which each is asked about, too', async () => {
    const all = sessionsOf(20, true);
    await reviews.some(all);
    expect(asked).toEqual([13, 7]);
  });

  test('as they are by then: one that has ended meanwhile is not', async () => {
    const all = sessionsOf(3);
    standings.set(toHex(all[1]!.address), 'banned');
    const done = reviews.some(all);
    present.delete(toHex(all[1]!.address));
    await done;
    expect(cut).toEqual([]);
  });

  test('once the registry answers: until then they go on', async () => {
    const all = sessionsOf(5);
    standings.set(toHex(all[2]!.address), 'evicted');
    broken = true;
    const done = reviews.some(all);
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(cut).toEqual([]);
    broken = false;
    await done;
    expect(cut).toEqual([toHex(all[2]!.address)]);
    expect(asked).toEqual([5, 5]);
  });

  test('all of them once, however often that is asked for', async () => {
    sessionsOf(2 * LOOKED_UP_AT_ONCE);
    await Promise.all([reviews.all(), reviews.all(), reviews.all()]);
    expect(asked).toEqual([LOOKED_UP_AT_ONCE, LOOKED_UP_AT_ONCE]);
  });

  test('all of them in turn, however often that is asked for anew before all are seen', async () => {
    const all = sessionsOf(3 * LOOKED_UP_AT_ONCE);
    const seen = new Set<string>();
    const seenBy: number[] = [];
    onAsked = (addresses) => {
      for (const address of addresses) seen.add(toHex(address));
      seenBy.push(seen.size);
      if (asked.length <= 5) void reviews.all();
    };
    await reviews.all();
    expect(seenBy).toEqual([100, 200, ...Array.from({ length: 3 + 3 }, () => all.length)]);
  });

  test('all of them are seen when whoever asked first hears so, as when that is asked for later', async () => {
    const all = sessionsOf(2 * LOOKED_UP_AT_ONCE);
    const later: Promise<void>[] = [];
    onAsked = () => {
      if (asked.length > 1) return;
      standings.set(toHex(all[0]!.address), 'banned');
      present.delete(toHex(all[1]!.address));
      later.push(reviews.all());
    };
    await reviews.all();
    expect(cut).toEqual([toHex(all[0]!.address)]);
    await Promise.all(later);
    await reviews.all();
    expect(asked).toEqual([100, 100, 99, 100, 98]);
  });

  test('all of them the next time if one could not be', async () => {
    sessionsOf(5);
    onUpdated = () => {
      throw new Error('no memory');
    };
    await expect(reviews.all()).rejects.toThrow('no memory');
    onUpdated = () => {};
    await reviews.all();
    expect(asked).toEqual([5, 5]);
  });

  test('no more once the router closes', async () => {
    const done = reviews.some(sessionsOf(5));
    reviews.close();
    await done;
    expect(asked).toEqual([]);
  });
});

describe('a session whose device has changed', () => {
  test('is looked at when the registry answers, at once or a moment later', async () => {
    const [stays, banned, other] = sessionsOf(3) as [Session, Session, Session];
    expect(reviews.one(other.address)).toBeUndefined();
    standings.set(toHex(banned.address), 'banned');
    broken = true;
    const done = [reviews.one(stays.address), reviews.one(banned.address)];
    expect(cut).toEqual([]);
    broken = false;
    await Promise.all(done);
    expect(cut).toEqual([toHex(banned.address)]);
    // Together with the other one.
    expect(asked).toEqual([1, 1, 1, 2]);
  });

  test('goes on if the registry answers the last time', async () => {
    const [session] = sessionsOf(1);
    broken = true;
    onAsked = () => {
      broken = asked.length < 3;
    };
    await reviews.one(session!.address);
    expect([asked, cut]).toEqual([[1, 1, 1], []]);
  });

  test('ends if the registry does not say how then either, unless a newer one has begun', async () => {
    const all = sessionsOf(LOOKED_UP_AT_ONCE + 20);
    broken = true;
    const done = all.map(({ address }) => reviews.one(address));
    const newer = { ...all[3]! };
    present.set(toHex(newer.address), newer);
    await Promise.all(done);
    expect([...present.values()]).toEqual([newer]);
    expect(cut).toHaveLength(all.length - 1);
    expect(asked.slice(all.length)).toEqual([100, 20, 100, 20]);
    // That of another one later, too.
    await reviews.one(newer.address);
    expect(present.size).toBe(0);
  });

  test('is looked at no more once the router closes', async () => {
    const [session] = sessionsOf(1);
    broken = true;
    const done = reviews.one(session!.address);
    reviews.close();
    await done;
    expect([asked, cut]).toEqual([[1], []]);
  });

  test('is asked about again when the registry reads again after a statement that took too long', () => {
    expect(AGAIN_MS).toBeGreaterThan(REST_MS);
  });
});
