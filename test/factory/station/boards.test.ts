import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { closeBatch } from '../../../factory/batch/close.ts';
import { readAuthorities } from '../../../factory/device/endorsement.ts';
import { proveMembership, readMember } from '../../../factory/device/member.ts';
import { createMaker } from '../../../factory/maker/maker.ts';
import { personaliseBoard } from '../../../factory/station/board.ts';
import { openIdentity } from '../../../factory/station/identity.ts';
import { STEP } from '../../../factory/station/messages.ts';
import { revokeToken } from '../../../factory/station/token.ts';
import { postPinned } from '../../../os/net/https.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { probe } from '../../../tpm/probe.ts';
import { expectFailure, readManifest } from '../folders.ts';
import { maker } from '../makers.ts';
import { powerCut } from '../power-cut.ts';
import { nobody, stationPlace, withTpm } from './place.ts';

/** `ENF_BOARDS=4 npx vitest run test/factory/station/boards.test.ts` */
const BOARDS = Number(process.env.ENF_BOARDS ?? 64);
const at = stationPlace();
const { path, newGroup, station, chip, personalise, tokenFor, tally } = at;
const post = (
  url: string,
  step: string,
  body: string,
  more: { authorization?: string; fingerprint?: string } = {},
) =>
  postPinned({
    url,
    path: step,
    body,
    fingerprint: at.identity.fingerprint,
    timeoutMs: 5_000,
    answerBytes: 16_384,
    ...more,
  });

describe('a station on the network', () => {
  test(`makes devices of ${BOARDS} boards at a time, each with its entry, beside chips in four sockets`, async () => {
    const { url, enrolment } = await station();
    const token = await tokenFor(BOARDS);
    const boards = await Promise.all(Array.from({ length: BOARDS }, () => chip()));
    const inSockets = await Promise.all([1, 2, 3, 4].map(() => chip()));
    const [devices, made] = await Promise.all([
      Promise.all(
        boards.map((board, i) =>
          personalise(board, url, token, { serial: { serial: `S${i}`, serialFrom: 'dmi' } }),
        ),
      ),
      at.runChips(inSockets),
    ]);
    expect(made).toBe(4);
    const all = await readManifest(at.group);
    expect(all).toHaveLength(BOARDS + 4);
    expect(new Set(all.map(({ member }) => member)).size).toBe(BOARDS + 4);
    const rows = all.filter(({ serial }) => serial !== undefined);
    expect(rows.map(({ member }) => member).sort()).toEqual(devices.map(({ member }) => member).sort());
    expect(rows[0]).toMatchObject({ station: 's1', serialFrom: 'dmi', tpm: 'IBM', ek: 'absent' });
    expect(enrolment.open).toBe(0);
    expect(await tally()).toMatchObject({ passed: BOARDS + 4, issued: 0, failed: {} });
    // What is on the list is what the fabric will see.
    const pseudonym = await withTpm(boards[0]!, async (tpm) => proveMembership(await readMember(tpm)));
    expect(rows.find(({ serial }) => serial === 'S0')?.pseudonym).toBe(toHex(pseudonym));
    const again = await personalise(boards[0]!, url, token);
    expect(again).toMatchObject({ already: true, serial: 'S0', time: devices[0]!.time });
    expect(await readManifest(at.group)).toHaveLength(BOARDS + 4);
  });

  test('a board or a station that is killed before or after any message goes on: one row, charged once', async () => {
    const by = maker(path('maker-of-killed'));
    const endorsement = { authorities: await readAuthorities(by.roots), required: true };
    const moments = ['begin', 'join', 'prove', 'done'].flatMap((step) => [`before ${step}`, `after ${step}`]);
    for (const moment of moments) {
      const board = await chip(by.chip(moment.replace(' ', '-')));
      const text = await tokenFor(1);
      // What the board asked for is done, and the answer is lost.
      const one = await station({ endorsement, after: (step) => moment === `after ${step}` });
      const cut = personalise(board, one.url, text, {
        before: async (step) => {
          if (moment === `before ${step.split('/').at(-1)}`) await one.close();
        },
      });
      await expectFailure(cut, 'net.unreachable');
      await board.kill();
      const { url } = await station({ endorsement });
      const back = await chip(board.state);
      expect(await personalise(back, url, text)).toMatchObject({ already: moment.endsWith('done') });
      // Charged, and no more than once: the credential left before, or after.
      if (moment === 'after prove')
        await expectFailure(personalise(await chip(by.chip('another')), url, text), 'factory.token-used');
      await back.stop();
    }
    const rows = await readManifest(at.group);
    expect(rows).toHaveLength(moments.length);
    expect(new Set(rows.map(({ member }) => member)).size).toBe(moments.length);
    const { issued, tokens } = await tally();
    expect([issued, Object.values(tokens)]).toEqual([0, moments.map(() => 1)]);
  });

  test('a board whose power goes at any write to its TPM becomes one device', async () => {
    const { url } = await station();
    const token = await tokenFor(1);
    const board = await chip();
    // Reservation, key, credential.
    for (const budget of [3, 4, 2, 2]) {
      const cut = withTpm(board, async (tpm) =>
        personaliseBoard({
          ...{
            tpm: powerCut(tpm, budget),
            url,
            token,
            fingerprint: at.identity.fingerprint,
            placement: 'auto',
          },
          ...{ serial: {}, progress: () => {}, capabilities: await probe(tpm) },
        }),
      );
      await expect(cut).rejects.toMatchObject({ code: 'test.power-cut' });
    }
    await personalise(board, url, token);
    expect(await readManifest(at.group)).toHaveLength(1);
    expect(await tally()).toMatchObject({ passed: 1, issued: 0, failed: {} });
  });

  test('two stations on one batch make one list', async () => {
    const [one, two] = [await station(), await station()];
    const token = await tokenFor(4);
    const boards = await Promise.all([1, 2, 3, 4].map(() => chip()));
    await Promise.all(boards.map((board, i) => personalise(board, i % 2 ? one.url : two.url, token)));
    expect(await readManifest(at.group)).toHaveLength(4);
    await expectFailure(personalise(await chip(), two.url, token), 'factory.token-used');
    await personalise(boards[0]!, one.url, token);
    expect(await readManifest(at.group)).toHaveLength(4);
  });

  test('a board of another group is refused, stays as it is, and the failure is noted', async () => {
    const other = await newGroup();
    const board = await chip();
    const elsewhere = await station({ into: other });
    await personalise(board, elsewhere.url, await tokenFor(1, 60_000, other));
    const { url } = await station();
    await expectFailure(personalise(board, url, await tokenFor(1)), 'factory.already-personalised');
    expect((await withTpm(board, readMember)).gid).toBe(other.gid);
    expect(await tally()).toMatchObject({
      passed: 0,
      failed: { 'factory.already-personalised': 1 },
      tokens: {},
    });
  });
});

describe('a token', () => {
  test('is for one batch, a time and a number of boards; nothing else opens the station', async () => {
    const { url } = await station();
    const board = await chip();
    const foreign = await tokenFor(1, 60_000, await newGroup());
    await expectFailure(personalise(board, url, foreign), 'factory.token-foreign');
    await expectFailure(personalise(board, url, await tokenFor(1, -1)), 'factory.token-expired');
    const good = await tokenFor(1);
    const forged = `${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`;
    for (const text of [forged, good.slice(0, -1), '', 'x'.repeat(200)])
      await expectFailure(personalise(board, url, text), 'factory.token-refused');
    await revokeToken(at.group, good.split('.')[2]!);
    await expectFailure(personalise(board, url, good), 'factory.token-expired');
    await expectFailure(revokeToken(at.group, '00000000'), 'factory.no-such-token');
    expect(await tally()).toMatchObject({ passed: 0, failed: {} });
  });

  test('a closed batch takes no board', async () => {
    const { url } = await station();
    const token = await tokenFor(1);
    const maker = await createMaker(path('maker-of-the-closed'), undefined);
    await closeBatch({ group: at.group, maker, passphrase: nobody, leaveIssued: false });
    await expectFailure(personalise(await chip(), url, token), 'factory.batch-closed');
  });
});

describe('the station takes care of itself', () => {
  test('a board speaks only to the station whose certificate it knows', async () => {
    const { url } = await station();
    const board = await chip();
    const stranger = await openIdentity(path('stranger'));
    const wrong = personalise(board, url, await tokenFor(1), { fingerprint: stranger.fingerprint });
    await expectFailure(wrong, 'net.wrong-certificate');
  });

  test('messages that are large, malformed, out of turn or of no session are refused', async () => {
    const { url } = await station();
    const authorization = `Bearer ${await tokenFor(1)}`;
    expect((await post(url, STEP.begin, 'x'.repeat(20_000), { authorization })).status).toBe(413);
    const code = async (step: string, body: unknown): Promise<string> =>
      JSON.parse((await post(url, step, JSON.stringify(body), { authorization })).body).error.code;
    for (const body of [null, [], 'x', { serial: 1 }, { serial: 'a\nb' }, { tpm: 'x'.repeat(99) }])
      expect(await code(STEP.begin, body)).toBe('factory.bad-message');
    expect(await code(STEP.begin, { serial: '=1' })).toBe('factory.bad-serial');
    expect(await code('/v1/nothing', {})).toBe('factory.bad-message');
    expect(await code(STEP.join, { session: '0'.repeat(32), publicArea: 'AA==', memberKey: 'AA==' })).toBe(
      'factory.no-session',
    );
    const begin = async (): Promise<string> =>
      JSON.parse((await post(url, STEP.begin, '{}', { authorization })).body).session;
    expect(await code(STEP.prove, { session: await begin(), secret: 'AA==' })).toBe('factory.out-of-turn');
    expect(await code(STEP.done, { session: await begin(), signature: 'AA==' })).toBe('factory.out-of-turn');
    const join = { session: await begin(), publicArea: 'AA==', memberKey: 'AA==' };
    expect(await code(STEP.join, join)).toBe('tpm.malformed');
    expect(await code(STEP.join, join)).toBe('factory.no-session');
    expect((await tally()).passed).toBe(0);
  });

  test('serves so many boards and no more, and connections of one source have a bound', async () => {
    const { url } = await station({ boards: 1 });
    const authorization = `Bearer ${await tokenFor(9)}`;
    const first = await post(url, STEP.begin, '{}', { authorization });
    expect(first.status).toBe(200);
    const second = await post(url, STEP.begin, '{}', { authorization });
    expect([second.status, JSON.parse(second.body).error.code]).toEqual([503, 'factory.station-busy']);
    const board = await chip();
    let pauses = 0;
    const busy = personalise(board, url, await tokenFor(1), { pause: async () => pauses++ });
    await expectFailure(busy, 'factory.station-busy');
    expect(pauses).toBe(13);
    // It tries again by itself, and gets the place when there is one.
    const leave = async (): Promise<void> => {
      const { session } = JSON.parse(first.body);
      await post(url, STEP.failed, JSON.stringify({ session, code: 'tpm.lost', message: '' }));
    };
    expect(await personalise(board, url, await tokenFor(1), { pause: leave })).toMatchObject({
      already: false,
    });
    const port = Number(new URL(url).port);
    const silent = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        await new Promise((settle) => socket.once('connect', settle));
        return socket;
      }),
    );
    await expect
      .poll(() => silent.filter((socket) => socket.closed || socket.readableEnded || socket.destroyed).length)
      .toBeGreaterThan(0);
    for (const socket of silent) socket.destroy();
  });
});
