import { connect } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { closeBatch } from '../../../factory/batch/close.ts';
import { withJournal } from '../../../factory/batch/journal.ts';
import type { EndorsementPolicy } from '../../../factory/device/endorsement.ts';
import { readAuthorities, readEndorsementHash } from '../../../factory/device/endorsement.ts';
import { proveMembership, readMember } from '../../../factory/device/member.ts';
import { createGroup, type Group, unlockIssuer } from '../../../factory/group/group.ts';
import { createMaker } from '../../../factory/maker/maker.ts';
import { type BoardDevice, type BoardRequest, personaliseBoard } from '../../../factory/station/board.ts';
import { type Enrolment, openEnrolment } from '../../../factory/station/enrolment.ts';
import { openIdentity, type StationIdentity } from '../../../factory/station/identity.ts';
import { STEP } from '../../../factory/station/messages.ts';
import { serveBoards } from '../../../factory/station/serve.ts';
import { createToken, revokeToken } from '../../../factory/station/token.ts';
import { postPinned } from '../../../os/net/https.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { generateMemberSecret, join, sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { Failure } from '../../../protocol/failure.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { readEndorsementCertificate } from '../../../tpm/endorsement.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { createDaaKey } from '../../../tpm/personalise.ts';
import { probe } from '../../../tpm/probe.ts';
import { expectFailure, readManifest, scratch, someTrust } from '../folders.ts';
import { type Maker, maker } from '../makers.ts';

/** `ENF_BOARDS=64 npx vitest run test/factory/station/boards.test.ts` */
const BOARDS = Number(process.env.ENF_BOARDS ?? 16);
const path = scratch();
const trust = someTrust();
const NONE: EndorsementPolicy = { authorities: [], required: false };
const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
let identity: StationIdentity;
let group: Group;
let made = 0;
let closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  identity = await openIdentity(path('identity'));
  expect(await openIdentity(path('identity'))).toEqual(identity);
});
beforeEach(async () => {
  group = await newGroup();
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

const newGroup = (): Promise<Group> =>
  createGroup({ folder: path(`group-${++made}`), name: 'March', basename: encodeUtf8('xaprcnet') });

interface Station {
  readonly url: string;
  readonly enrolment: Enrolment;
  close(): Promise<void>;
}

interface StationChange {
  readonly endorsement?: EndorsementPolicy;
  readonly boards?: number;
  readonly into?: Group;
  /** True for a step after which the station is killed, before it answers. */
  readonly after?: (step: string) => boolean;
}

async function station(more: StationChange = {}): Promise<Station> {
  const { endorsement = NONE, boards = 64, into = group, after = () => false } = more;
  const now = (): Date => new Date();
  const issuerSecret = await unlockIssuer(into, nobody);
  const enrolment = openEnrolment({
    group: into,
    trust,
    issuerSecret,
    endorsement,
    operator: { station: 's1' },
    recordEk: true,
    boards,
    now,
  });
  const then = async <T>(step: string, done: Promise<T>): Promise<T> => {
    const result = await done;
    if (after(step)) await served.close();
    return result;
  };
  const dying: Enrolment = {
    ...enrolment,
    begin: (...given) => then('begin', enrolment.begin(...given)),
    join: (...given) => then('join', enrolment.join(...given)),
    prove: (...given) => then('prove', enrolment.prove(...given)),
    done: (...given) => then('done', enrolment.done(...given)),
  };
  const served = await serveBoards({
    ...{ enrolment: dying, group: into, trust, identity, boards, now, emit: () => {} },
    address: { host: '127.0.0.1', port: 0 },
    wantsCertificate: endorsement.authorities.length > 0,
  });
  closing.push(() => served.close());
  return { url: `https://127.0.0.1:${served.port}`, enrolment, close: served.close };
}

async function chip(state?: string): Promise<Swtpm> {
  const started = await startSwtpm(state === undefined ? {} : { state });
  closing.push(() => started.stop());
  return started;
}

async function withTpm<T>({ tcti }: Swtpm, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

const tokenFor = async (count: number, ms = 60_000, into = group): Promise<string> =>
  (await createToken(into, count, new Date(Date.now() + ms))).text;

const personalise = (
  board: Swtpm,
  url: string,
  token: string,
  more: Partial<BoardRequest> = {},
): Promise<BoardDevice> =>
  withTpm(board, async (tpm) =>
    personaliseBoard({
      ...{
        tpm,
        url,
        token,
        fingerprint: identity.fingerprint,
        placement: 'auto',
        serial: {},
        progress: () => {},
      },
      capabilities: await probe(tpm),
      ...more,
    }),
  );
const NO_FACTS = { serial: undefined, serialFrom: undefined, tpm: undefined, firmware: undefined };
const HERE = { facts: NO_FACTS, source: '192.0.2.9' };
const token = async (count: number) => (await createToken(group, count, new Date(Date.now() + 60_000))).token;
const tally = () => withJournal(group, async (journal) => journal.tally);
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
    fingerprint: identity.fingerprint,
    timeoutMs: 5_000,
    answerBytes: 16_384,
    ...more,
  });

describe('a station on the network', () => {
  test(`makes devices of ${BOARDS} boards at a time, each with its entry`, async () => {
    const { url, enrolment } = await station();
    const token = await tokenFor(BOARDS);
    const boards = await Promise.all(Array.from({ length: BOARDS }, () => chip()));
    const devices = await Promise.all(
      boards.map((board, i) =>
        personalise(board, url, token, { serial: { serial: `S${i}`, serialFrom: 'dmi' } }),
      ),
    );
    const rows = await readManifest(group);
    expect(rows.map(({ member }) => member).sort()).toEqual(devices.map(({ member }) => member).sort());
    expect(rows[0]).toMatchObject({ station: 's1', serialFrom: 'dmi', tpm: 'IBM', ek: 'absent' });
    expect(enrolment.open).toBe(0);
    expect(await tally()).toMatchObject({ passed: BOARDS, issued: 0, failed: {} });
    // What is on the list is what the fabric will see.
    const pseudonym = await withTpm(boards[0]!, async (tpm) => proveMembership(tpm, await readMember(tpm)));
    expect(rows.find(({ serial }) => serial === 'S0')?.pseudonym).toBe(toHex(pseudonym));
    const again = await personalise(boards[0]!, url, token);
    expect(again).toMatchObject({ already: true, serial: 'S0', time: devices[0]!.time });
    expect(await readManifest(group)).toHaveLength(BOARDS);
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
    const rows = await readManifest(group);
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
          ...{ tpm: powerCut(tpm, budget), url, token, fingerprint: identity.fingerprint, placement: 'auto' },
          ...{ serial: {}, progress: () => {}, capabilities: await probe(tpm) },
        }),
      );
      await expect(cut).rejects.toMatchObject({ code: 'test.power-cut' });
    }
    await personalise(board, url, token);
    expect(await readManifest(group)).toHaveLength(1);
    expect(await tally()).toMatchObject({ passed: 1, issued: 0, failed: {} });
  });

  function powerCut(tpm: Tpm, budget: number): Tpm {
    let left = budget;
    const guarded =
      (send: Tpm['call']): Tpm['call'] =>
      async (command, ...rest) => {
        if (['evictControl', 'nvDefine', 'nvWrite'].includes(command) && left-- <= 0)
          throw new Failure('test.power-cut', 'retry', 'the power went');
        return send(command, ...rest);
      };
    return {
      tcti: tpm.tcti,
      get alive() {
        return tpm.alive;
      },
      get generation() {
        return tpm.generation;
      },
      ask: guarded((...command) => tpm.ask(...command)),
      call: guarded((...command) => tpm.call(...command)),
      tlsKey: (key, point) => tpm.tlsKey(key, point),
      close: () => tpm.close(),
    };
  }

  test('two stations on one batch make one list', async () => {
    const [one, two] = [await station(), await station()];
    const token = await tokenFor(4);
    const boards = await Promise.all([1, 2, 3, 4].map(() => chip()));
    await Promise.all(boards.map((board, i) => personalise(board, i % 2 ? one.url : two.url, token)));
    expect(await readManifest(group)).toHaveLength(4);
    await expectFailure(personalise(await chip(), two.url, token), 'factory.token-used');
    await personalise(boards[0]!, one.url, token);
    expect(await readManifest(group)).toHaveLength(4);
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
    await revokeToken(group, good.split('.')[2]!);
    await expectFailure(personalise(board, url, good), 'factory.token-expired');
    await expectFailure(revokeToken(group, '00000000'), 'factory.no-such-token');
    expect(await tally()).toMatchObject({ passed: 0, failed: {} });
  });

  test('a closed batch takes no board', async () => {
    const { url } = await station();
    const token = await tokenFor(1);
    const maker = await createMaker(path(`maker-${made}`), undefined);
    await closeBatch({ group, maker, passphrase: nobody, leaveIssued: false });
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

describe('boards with their makers’ certificates', () => {
  let by: Maker;
  beforeAll(() => {
    by = maker(path('maker-of-chips'));
  });
  const policy = async (): Promise<EndorsementPolicy> => ({
    authorities: await readAuthorities(by.roots),
    required: true,
  });

  test('are proved genuine before anything is issued; others are refused', async () => {
    const { url } = await station({ endorsement: await policy() });
    const token = await tokenFor(2);
    const board = await chip(by.chip('board'));
    await personalise(board, url, token);
    expect(await readManifest(group)).toMatchObject([
      { ek: 'verified', ekHash: await withTpm(board, readEndorsementHash) },
    ]);
    await expectFailure(personalise(await chip(), url, token), 'factory.ek-absent');
    const foreign = await chip(maker(path('other-maker')).chip('board'));
    await expectFailure(personalise(foreign, url, token), 'factory.ek-untrusted');
    expect(await tally()).toMatchObject({
      passed: 1,
      issued: 0,
      failed: { 'factory.ek-absent': 1, 'factory.ek-untrusted': 1 },
    });
  });

  test('a board that shows the certificate of another chip gets nothing', async () => {
    const { url, enrolment } = await station({ endorsement: await policy() });
    const genuine = await chip(by.chip('genuine'));
    const der = (await withTpm(genuine, (tpm) => readEndorsementCertificate(tpm, 'rsa')))!;
    const board = await chip();
    const certificate = { kind: 'rsa', der } as const;
    // An honest board finds out itself.
    await expectFailure(personalise(board, url, await tokenFor(1), { certificate }), 'factory.key-elsewhere');
    // Of a dishonest one the station does not get the secret.
    const { session, nonce } = await enrolment.begin({ ...HERE, token: await token(1) });
    const { publicArea, memberKey } = await withTpm(board, async (tpm) => {
      const made = await createDaaKey(tpm, PLATFORM_MAP);
      return { ...made, memberKey: await join(primitives, made.key, nonce, group.basename) };
    });
    const reply = await enrolment.join(session, { publicArea, memberKey, holds: false, certificate: der });
    expect(Object.keys(reply)).toEqual(['challenge']);
    await expectFailure(enrolment.prove(session, new Uint8Array(32)), 'factory.key-elsewhere');
    await expectFailure(enrolment.prove(session, new Uint8Array(32)), 'factory.no-session');
    expect(await tally()).toMatchObject({ passed: 0, issued: 0, tokens: {} });
  });
});

describe('a board that lies', () => {
  test('has to show a key of its own, in a TPM, and to sign with its credential', async () => {
    const { enrolment } = await station();
    const [secret, other] = [generateMemberSecret(primitives), generateMemberSecret(primitives)];
    const key = softwareDaaKey(primitives, secret);
    const publicArea = await withTpm(
      await chip(),
      async (tpm) => (await createDaaKey(tpm, PLATFORM_MAP)).publicArea,
    );
    const begun = (): ReturnType<Enrolment['begin']> =>
      token(9).then((each) => enrolment.begin({ ...HERE, token: each }));
    const joined = async (area: Uint8Array, made: Uint8Array, over?: Uint8Array) => {
      const { session, nonce } = await begun();
      const memberKey = await join(
        primitives,
        softwareDaaKey(primitives, made),
        over ?? nonce,
        group.basename,
      );
      return {
        session,
        reply: enrolment.join(session, { publicArea: area, memberKey, holds: false, certificate: undefined }),
      };
    };
    // The public area of a chip, the proof of another key.
    await expectFailure((await joined(publicArea, secret)).reply, 'factory.key-elsewhere');
    // A proof of before.
    await expectFailure((await joined(publicArea, secret, new Uint8Array(32))).reply, 'ecdaa.bad-member-key');
    // A key in software that says it is in a TPM: only an endorsement certificate tells. It has to sign all the same.
    const claimed = publicArea.slice();
    claimed.set(key.publicPoint.subarray(1, 33), claimed.length - 66);
    claimed.set(key.publicPoint.subarray(33), claimed.length - 32);
    const { session, reply } = await joined(claimed, secret);
    const { message, credential } = (await reply) as { message: Uint8Array; credential: Uint8Array };
    const forged = await sign(
      primitives,
      softwareDaaKey(primitives, other),
      credential,
      message,
      group.basename,
    ).catch(() => new Uint8Array(421));
    await expectFailure(enrolment.done(session, forged), 'factory.board-not-proved');
    expect(await readManifest(group)).toEqual([]);
    // It has a credential all the same.
    expect(await tally()).toMatchObject({ passed: 0, issued: 1, failed: { 'factory.key-elsewhere': 1 } });
  });
});
