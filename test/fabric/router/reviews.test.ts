import { beforeEach, describe, expect, test } from 'vitest';
import { type Endpoint, LOOKED_UP_AT_ONCE, type Standing } from '../../../fabric/registry/admission.ts';
import { type Questions, registryQuestions } from '../../../fabric/router/questions/authorize.ts';
import { type Reviews, reviewsOf } from '../../../fabric/router/reviews.ts';
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
let broken: boolean;
/** Sessions that are there, by their addresses; and those that were cut. */
let present: Map<string, Session>;
let cut: string[];
let reviews: Reviews;

beforeEach(() => {
  [standings, asked, broken, present, cut] = [new Map(), [], false, new Map(), []];
  const endpoint = (address: Uint8Array): Endpoint => ({
    ...{ address, longtermKey: KEY, gid: GID, network: parsePrefix('fd00:1::/64') },
    standing: standings.get(toHex(address)) ?? 'active',
  });
  const admission = fakeAdmission();
  admission.holders = (addresses) => {
    asked.push(addresses.length);
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
    update: () => {},
  } as unknown as SessionTable;
  reviews = reviewsOf({ questions, sessions, isSuperseded: () => false });
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

  test('no more once the router closes', async () => {
    const done = reviews.some(sessionsOf(5));
    reviews.close();
    await done;
    expect(asked).toEqual([]);
  });
});

test('a session whose device has changed ends if the registry does not say how', () => {
  const [session, other] = sessionsOf(2);
  reviews.one(other!.address);
  expect(cut).toEqual([]);
  broken = true;
  reviews.one(session!.address);
  expect(cut).toEqual([toHex(session!.address)]);
  expect(asked).toEqual([1, 1]);
});
