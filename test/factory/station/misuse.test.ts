import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { closeBatch } from '../../../factory/batch/close.ts';
import { withJournal } from '../../../factory/batch/journal.ts';
import { createGroup, type Group, unlockIssuer } from '../../../factory/group/group.ts';
import { memberName } from '../../../factory/group/names.ts';
import { createMaker } from '../../../factory/maker/maker.ts';
import { type Beginning, type Enrolment, openEnrolment } from '../../../factory/station/enrolment.ts';
import { createToken, leftOf, readTokens, revokeToken, type Token } from '../../../factory/station/token.ts';
import type { DaaKey } from '../../../protocol/crypto/daa-key.ts';
import { generateMemberSecret, join, sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { createDaaKey } from '../../../tpm/personalise.ts';
import { expectFailure, scratch, someTrust } from '../folders.ts';

const path = scratch();
const trust = someTrust();
const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
const NO_FACTS = { serial: undefined, serialFrom: undefined, tpm: undefined, firmware: undefined };
let area: Uint8Array;
let group: Group;
let made = 0;

beforeAll(async () => {
  const chip = await startSwtpm();
  const tpm = await openTpm(chip.tcti);
  area = (await createDaaKey(tpm, PLATFORM_MAP)).publicArea;
  await tpm.close();
  await chip.stop();
});
beforeEach(async () => {
  const folder = path(`group-${++made}`);
  group = await createGroup({ folder, name: 'March', basename: encodeUtf8('xaprcnet') });
});

async function enrolment(boards = 64): Promise<Enrolment> {
  return openEnrolment({
    ...{
      group,
      trust,
      issuerSecret: await unlockIssuer(group, nobody),
      operator: {},
      recordEk: false,
      boards,
    },
    endorsement: { authorities: [], required: false },
    now: () => new Date(),
  });
}

const tokenFor = async (count: number): Promise<Token> =>
  (await createToken(group, count, new Date(Date.now() + 60_000))).token;
const tally = () => withJournal(group, async (journal) => journal.tally);
const close = async () =>
  closeBatch({
    ...{ group, passphrase: nobody, leaveIssued: false },
    maker: await createMaker(path(`maker-${++made}`), undefined),
  });

/** A board in software that says that its key is in a TPM: without endorsement certificates nobody can tell. */
interface Liar {
  readonly key: DaaKey;
  readonly member: string;
}

function liar(): Liar {
  const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
  return { key, member: memberName(key.publicPoint) };
}

async function joinAs({ key }: Liar, to: Enrolment, board: Omit<Beginning, 'facts'>, holds = false) {
  const { session, nonce } = await to.begin({ facts: NO_FACTS, ...board });
  const publicArea = area.slice();
  publicArea.set(key.publicPoint.subarray(1, 33), area.length - 66);
  publicArea.set(key.publicPoint.subarray(33), area.length - 32);
  const memberKey = await join(primitives, key, nonce, group.basename);
  const reply = await to.join(session, { publicArea, memberKey, holds, certificate: undefined });
  return { session, ...(reply as { message: Uint8Array; credential?: Uint8Array }) };
}

async function signed({ key }: Liar, credential: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  return sign(primitives, key, credential, message, group.basename);
}

describe('a token', () => {
  test('that is used up opens no session, except to a board that it has paid for', async () => {
    const station = await enrolment();
    const token = await tokenFor(1);
    const board = liar();
    await joinAs(board, station, { token, source: 'a' });
    const begin = (member?: string) => station.begin({ token, facts: NO_FACTS, source: 'a', member });
    await expectFailure(begin(), 'factory.token-used');
    await expectFailure(begin(liar().member), 'factory.token-used');
    const open = station.open;
    for (let i = 0; i < 70; i++) await begin(board.member);
    expect(station.open).toBe(open + 1);
    // Who only says so gets nothing for it.
    await expectFailure(
      joinAs(liar(), station, { token, source: 'b', member: board.member }),
      'factory.token-used',
    );
    const { session, message, credential } = await joinAs(board, station, {
      token,
      source: 'a',
      member: board.member,
    });
    await station.done(session, await signed(board, credential!, message));
    expect(await tally()).toMatchObject({ passed: 1, tokens: { [token.id]: 1 } });
  });

  test('pays for a board that says it holds a credential, unless the journal knows it', async () => {
    const station = await enrolment();
    const token = await tokenFor(1);
    const [one, two] = [liar(), liar()];
    const { message } = await joinAs(one, station, { token, source: 'a' }, true);
    expect(message).toHaveLength(32);
    await expectFailure(joinAs(two, station, { token, source: 'a' }, true), 'factory.token-used');
    const again = await joinAs(one, station, { token, source: 'a', member: one.member }, true);
    expect(again.credential).toBeUndefined();
    expect(await tally()).toMatchObject({ issued: 1, tokens: { [token.id]: 1 } });
  });

  test('that is revoked while its boards are at work gives no credential any more', async () => {
    const station = await enrolment();
    const token = await tokenFor(2);
    const refused = joinAs(
      liar(),
      {
        ...station,
        open: 0,
        join: async (...given) => {
          await revokeToken(group, token.id);
          return station.join(...given);
        },
      },
      { token, source: 'a' },
    );
    await expectFailure(refused, 'factory.token-expired');
    expect(await tally()).toMatchObject({ issued: 0, tokens: {} });
  });

  test('that the journal cannot count is good for nothing', () => {
    const token: Token = { id: 'ffffffff', hash: '', count: 3, expires: '' };
    const used = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`token-${i}`, 1]));
    expect(leftOf(token, {})).toBe(3);
    expect(leftOf(token, used)).toBe(0);
    expect(leftOf({ ...token, id: 'token-7' }, used)).toBe(2);
    expect(leftOf({ ...token, id: 'token-7', count: 1 }, used)).toBe(0);
  });

  test('that has expired leaves its place in the list; a list of good ones has an end', async () => {
    const write = (expires: string): void => {
      const tokens = Array.from({ length: 128 }, (_, i) => ({
        ...{ id: i.toString(16).padStart(8, '0'), hash: '0'.repeat(64), count: 1 },
        expires: i === 5 ? expires : '2999-01-01T00:00:00.000Z',
      }));
      writeFileSync(`${group.folder}/tokens.json`, JSON.stringify(tokens));
    };
    write('2999-01-01T00:00:00.000Z');
    await expectFailure(tokenFor(1), 'factory.too-many-tokens');
    write('2001-01-01T00:00:00.000Z');
    const { id } = await tokenFor(1);
    const ids = (await readTokens(group)).map((each) => each.id);
    expect([ids.length, ids.includes(id), ids.includes('00000005')]).toEqual([128, true, false]);
  });
});

describe('a credential that has left', () => {
  test('stays in the journal whatever fails later, and the batch is not closed over it', async () => {
    const station = await enrolment();
    const token = await tokenFor(3);
    const boards = [liar(), liar(), liar()];
    const joined = await Promise.all(
      boards.map((board, i) => joinAs(board, station, { token, source: `${i}` })),
    );
    await station.failed(joined[0]!.session, 'tpm.lost', 'gone');
    await expectFailure(station.done(joined[1]!.session, new Uint8Array(421)), 'factory.board-not-proved');
    const twice = { publicArea: area, memberKey: new Uint8Array(226), holds: false, certificate: undefined };
    await expectFailure(station.join(joined[2]!.session, twice), 'factory.out-of-turn');
    expect(await tally()).toMatchObject({ passed: 0, issued: 3, failed: {} });
    await expectFailure(close(), 'factory.boards-open');
    for (const board of boards) {
      const { session, message, credential } = await joinAs(board, station, {
        token,
        source: 'a',
        member: board.member,
      });
      await station.done(session, await signed(board, credential!, message));
    }
    expect(await tally()).toMatchObject({ passed: 3, issued: 0, tokens: { [token.id]: 3 } });
    expect((await close()).manifest.devices).toBe(3);
  });
});

describe('a station', () => {
  test('has no more boards at work than it was told, also when all begin at once', async () => {
    const station = await enrolment(4);
    const token = await tokenFor(500);
    const begun = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => station.begin({ token, facts: NO_FACTS, source: `${i}` })),
    );
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(station.open).toBe(4);
  });

  test('writes so many failures of one token and no more', async () => {
    const station = await enrolment();
    const token = await tokenFor(1);
    for (let i = 0; i < 60; i++) {
      const { session } = await station.begin({ token, facts: NO_FACTS, source: 'a' });
      await station.failed(session, 'tpm.lost', 'gone');
    }
    expect(await tally()).toMatchObject({ failed: { 'tpm.lost': 20 } });
    expect(readFileSync(`${group.folder}/journal.jsonl`, 'utf8').split('\n')).toHaveLength(21);
    // The board becomes a device all the same.
    const board = liar();
    const { session, message, credential } = await joinAs(board, station, { token, source: 'a' });
    await station.done(session, await signed(board, credential!, message));
    expect(await tally()).toMatchObject({ passed: 1 });
  });
});
