import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { withJournal } from '../../../factory/batch/journal.ts';
import type { EndorsementPolicy } from '../../../factory/device/endorsement.ts';
import { personaliseTpm } from '../../../factory/device/personalise.ts';
import { createGroup, type Group, unlockIssuer } from '../../../factory/group/group.ts';
import { type BoardDevice, type BoardRequest, personaliseBoard } from '../../../factory/station/board.ts';
import { type Enrolment, openEnrolment } from '../../../factory/station/enrolment.ts';
import { openIdentity, type StationIdentity } from '../../../factory/station/identity.ts';
import { serveBoards } from '../../../factory/station/serve.ts';
import { runSockets } from '../../../factory/station/sockets.ts';
import { createToken } from '../../../factory/station/token.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { probe } from '../../../tpm/probe.ts';
import { scratch, someTrust } from '../folders.ts';

export interface Station {
  readonly url: string;
  readonly enrolment: Enrolment;
  close(): Promise<void>;
}

export interface StationChange {
  readonly endorsement?: EndorsementPolicy;
  readonly boards?: number;
  readonly into?: Group;
  readonly allowSealed?: boolean;
  /** True for a step after which the station is killed, before it answers. */
  readonly after?: (step: string) => boolean;
}

const NO_FACTS = { serial: undefined, serialFrom: undefined, tpm: undefined, firmware: undefined };
/** What a board says of itself, and where it is. */
export const HERE = { facts: NO_FACTS, source: '192.0.2.9' };

export const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));

export async function withTpm<T>({ tcti }: Pick<Swtpm, 'tcti'>, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await openTpm(tcti);
  try {
    return await work(tpm);
  } finally {
    await tpm.close();
  }
}

/** A group for each test, and stations and boards that end with it. */
export function stationPlace() {
  const path = scratch();
  const trust = someTrust();
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

  async function station(more: StationChange = {}): Promise<Station> {
    const { endorsement = { authorities: [], required: false }, boards = 64 } = more;
    const { into = group, allowSealed, after = () => false } = more;
    const now = (): Date => new Date();
    const issuerSecret = await unlockIssuer(into, nobody);
    const enrolment = openEnrolment({
      ...{ group: into, trust, issuerSecret, endorsement, allowSealed, boards, now },
      operator: { station: 's1' },
      recordEk: true,
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
      ...{ enrolment: dying, group: into, trust, identity, allowSealed, boards, now, emit: () => {} },
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

  const created = (count: number, ms = 60_000, into = group) =>
    createToken(into, count, new Date(Date.now() + ms));

  const personalise = (
    board: Pick<Swtpm, 'tcti'>,
    url: string,
    token: string,
    more: Partial<BoardRequest> = {},
  ): Promise<BoardDevice> =>
    withTpm(board, async (tpm) =>
      personaliseBoard({
        ...{ tpm, url, token, fingerprint: identity.fingerprint, placement: 'auto', serial: {} },
        progress: () => {},
        capabilities: await probe(tpm),
        ...more,
      }),
    );

  /** Makes devices of chips, each in a socket of its own. Returns how many. */
  const runChips = (chips: readonly Swtpm[]): Promise<number> =>
    runSockets({
      sockets: chips.map(({ tcti }) => tcti),
      count: chips.length,
      async personalise(tpm) {
        const done = await personaliseTpm({
          ...{ group, trust, tpm, placement: 'auto', endorsement: { authorities: [], required: false } },
          capabilities: await probe(tpm),
          issuerSecret: () => unlockIssuer(group, nobody),
          progress: () => {},
        });
        return { member: done.member, again: done.already && done.known };
      },
      recordFailure: async (failure) => {
        throw failure;
      },
      emit: () => {},
      signal: new AbortController().signal,
      pollMs: 20,
    });

  return {
    path,
    trust,
    runChips,
    get group() {
      return group;
    },
    get identity() {
      return identity;
    },
    newGroup,
    station,
    chip,
    personalise,
    /** The text of a new token, as a board has it. */
    tokenFor: async (...given: Parameters<typeof created>): Promise<string> => (await created(...given)).text,
    /** A new token, as a station knows it. */
    token: async (count: number) => (await created(count)).token,
    tally: () => withJournal(group, async (journal) => journal.tally),
  };
}
