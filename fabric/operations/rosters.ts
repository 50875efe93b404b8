import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { LONGEST_HEADER } from '../../protocol/roster.ts';
import { SERIAL } from '../../protocol/serial.ts';
import type { Progress } from '../jobs/jobs.ts';
import type { JobView } from '../jobs/view.ts';
import { parseCursor } from '../registry/pages.ts';
import type { Group } from '../registry/records.ts';
import type { OwnedReader } from '../registry/registry.ts';
import {
  ROSTER_CURSOR,
  ROSTER_LIST,
  type Roster,
  type RosterFilter,
  type RosterPart,
  type RosterRow,
  type RosterStatus,
} from '../registry/rosters.ts';
import { ownTurn } from '../registry/turns.ts';
import { badInput, flag, oneOf, optional, text, whole } from './contract/input.ts';
import {
  type Changed,
  type Context,
  filteredList,
  isoTime,
  operation,
  type ReadContext,
} from './contract/operation.ts';
import { LONGEST_PART } from './contract/roster-upload.ts';
import { jobsOf } from './jobs.ts';
import type { RosterDeviceView, RosterProgressView, RosterStatusView, RosterView } from './views/rosters.ts';

/** The characters of a part of the lines in base64. */
const LONGEST_PART_TEXT = Math.ceil(LONGEST_PART / 3) * 4;

const NEWLINE = 0x0a;
const GID = { gid: text(128) };
const MOST_BOXES = 10_000_000;

/**
 * Begins to take the roster of a group, or goes on with it: `header` is its first line; `names`: devices are called by their serial numbers when
 * they come.
 * @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.roster-exists`, `roster.…`
 */
export const beginRoster = operation<
  { gid: string; header: string; names?: boolean | undefined },
  RosterProgressView
>(
  'roster-begin',
  { ...GID, header: text(LONGEST_HEADER), names: optional(flag) },
  async ({ registry, actor }, { gid, header, names = false }) => {
    const group = await registry.group(gid);
    const { openRoster } = await import('../labels/roster.ts');
    const { manifest, maker, makerKey } = openRoster(header, group.gid);
    const { bytes, devices, unnamed, perBox, sha256 } = manifest;
    const roster = {
      ...{
        maker,
        makerKey,
        sha256: new Uint8Array(Buffer.from(sha256, 'hex')),
        bytes,
        devices,
        unnamed,
        names,
      },
      ...(perBox !== undefined && { perBox }),
    };
    const { offset } = await registry.beginRoster(actor, group.gid, roster);
    return { ...(await statusView(registry, group)), offset };
  },
);

/**
 * Takes the next part of the lines: base64 of at most half a megabyte that ends with a line.
 * @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `roster.out-of-step`, `roster.bad-row`, `roster.changed`
 */
export const addRosterPart = operation<{ gid: string; offset: number; lines: string }, RosterProgressView>(
  'roster-part',
  { ...GID, offset: whole(0, Number.MAX_SAFE_INTEGER), lines: text(LONGEST_PART_TEXT) },
  async ({ registry }, { gid, offset: begin, lines }) => {
    const part = Buffer.from(lines, 'base64');
    if (part.at(-1) !== NEWLINE) throw badInput('lines', 'is not base64 of lines, of which each has its end');
    const group = await registry.group(gid);
    const { offset } = await registry.addRosterPart(group.gid, begin, part);
    return { ...(await statusView(registry, group)), offset };
  },
);

/**
 * Does the next part of what puts a whole roster in force; repeated until it is.
 * @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `roster.incomplete`, `roster.duplicate`
 */
export const indexRoster = operation<{ gid: string }, Changed<RosterStatusView>>(
  'roster-index',
  GID,
  async ({ registry, running, actor }, { gid }) => {
    const group = await registry.group(gid);
    await registry.indexRoster(actor, group.gid);
    const view = await statusView(registry, group);
    const effect = view.roster?.state === 'in-force' ? await running.notify() : 'not in force yet';
    return { view, effect };
  },
);

/** What is known of the roster of a group. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const showRoster = operation<{ gid: string }, RosterStatusView, ReadContext>(
  'roster-show',
  GID,
  async ({ registry }, { gid }) => statusView(registry, await registry.group(gid)),
);

/** Takes the roster of a group away. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.no-roster` */
export const removeRoster = operation<{ gid: string }, Changed<RosterStatusView>>(
  'roster-remove',
  GID,
  async ({ registry, running, actor }, { gid }) => {
    const group = await registry.group(gid);
    await registry.removeRoster(actor, group.gid);
    return { view: await statusView(registry, group), effect: await running.notify() };
  },
);

/** Which devices of a roster are meant: by serial number, a range of them, or by box. */
export interface RosterPartInput {
  readonly serial?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly box?: number | undefined;
}

const PART = {
  serial: optional(text(64)),
  from: optional(text(64)),
  to: optional(text(64)),
  box: optional(whole(1, MOST_BOXES)),
};

/** @throws Failure `fabric.bad-input` */
function partOf({ serial, from, to, box }: RosterPartInput): RosterPart {
  for (const [name, given] of Object.entries({ serial, from, to }))
    if (given !== undefined && !SERIAL.test(given)) throw badInput(name, 'is no serial number');
  if (serial !== undefined && (from !== undefined || to !== undefined))
    throw badInput('serial', 'is given with from or to, which are a range');
  return {
    ...(serial !== undefined && { serial }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(box !== undefined && { box }),
  };
}

interface RosterListInput extends RosterPartInput {
  readonly gid: string;
  readonly state?: 'unseen' | 'seen' | 'banned' | undefined;
}

/** A page of the devices on the roster of a group, in its order, or in that of the serial numbers if these narrow it. @throws Failure `fabric.no-roster` */
export const listRoster = filteredList<RosterRow, RosterDeviceView, RosterListInput>(
  'roster-list',
  { ...GID, ...PART, state: optional(oneOf('unseen', 'seen', 'banned')) },
  async (registry, page, { gid, state, ...part }) => {
    if (page.after !== undefined) parseCursor(ROSTER_LIST, page.after, ROSTER_CURSOR);
    const filter: RosterFilter = {
      ...partOf(part),
      ...(state === 'banned' && { banned: true }),
      ...((state === 'seen' || state === 'unseen') && { seen: state === 'seen' }),
    };
    return registry.rosterRows((await registry.group(gid)).gid, page, filter);
  },
  () => deviceView,
);

/**
 * Bans or unbans devices on the roster of a group, whether they have come or not, as a job: by serial number, a range of them, or by box.
 * @throws Failure `fabric.bad-input`, `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.no-roster`, `roster.no-boxes`, `roster.no-such-device`,
 *   `jobs.too-many`
 */
export const changeRoster = operation<RosterPartInput & { gid: string; change: 'ban' | 'unban' }, JobView>(
  'roster-standing',
  { ...GID, ...PART, change: oneOf('ban', 'unban') },
  async (context, input) => {
    const { registry, actor } = context;
    const { gid, change, ...given } = input;
    const of = partOf(given);
    if (Object.keys(of).length === 0) throw badInput('serial', 'or from, to or box is given');
    const group = await registry.group(gid);
    await requireSome(registry, group, of);
    const { owner } = registry.scope;
    const job = await jobsOf(context).start(
      { operation: 'roster-standing', input: { ...input }, actor, owner },
      (progress) => changeAll(context, group, { of, change }, progress),
    );
    await registry.record(actor, 'job.start', `job ${job.id}`, { ...input });
    return job;
  },
);

/** Whoever names what is not there hears of it at once. @throws Failure `roster.no-such-device` */
async function requireSome(registry: OwnedReader, { gid }: Group, of: RosterPart): Promise<void> {
  const { rows, next } = await registry.rosterRows(gid, { limit: 1 }, of);
  if (rows.length > 0 || next !== undefined) return;
  throw new Failure('roster.no-such-device', 'operator', 'no device on the roster is like that', {
    action: 'See "enf-fabric roster list"; serial numbers are compared letter by letter.',
  });
}

async function changeAll(
  { registry, running, actor }: Context,
  { gid }: Group,
  asked: { readonly of: RosterPart; readonly change: 'ban' | 'unban' },
  progress: Progress,
): Promise<void> {
  let after: string | undefined;
  do {
    await ownTurn();
    const done = await registry.setRosterStanding(actor, gid, { ...asked, after });
    for (let row = 0; row < done.rows; row++) progress.row(row < done.changed);
    for (const { subject, failure } of done.failures) progress.failed(subject, failure);
    if (done.changed > 0) progress.effect(await running.notify());
    after = done.next;
  } while (after !== undefined && !progress.signal.aborted);
}

export async function statusView(
  registry: OwnedReader,
  { gid, name }: Pick<Group, 'gid' | 'name'>,
): Promise<RosterStatusView> {
  return { gid: toHex(gid), name, ...rosterFields(await registry.roster(gid)) };
}

/** What a group shows of its roster. */
export const rosterFields = ({
  awaited,
  roster,
}: RosterStatus): Pick<RosterStatusView, 'rosterAwaited' | 'roster'> => ({
  rosterAwaited: awaited,
  roster: roster === undefined ? null : rosterView(roster),
});

const rosterView = ({ maker, sha256, perBox, inForce, created, ...rest }: Roster): RosterView => ({
  state: rest.state,
  maker: toHex(maker),
  sha256: toHex(sha256),
  bytes: rest.bytes,
  received: rest.received,
  devices: rest.devices,
  unnamed: rest.unnamed,
  indexed: rest.indexed,
  perBox: perBox ?? null,
  names: rest.names,
  created: isoTime(created),
  since: inForce === undefined ? null : isoTime(inForce.since),
  seen: inForce?.seen ?? null,
  outside: inForce?.outside ?? null,
  banned: rest.banned,
});

function deviceView({ line, serial, box, resident, pseudonym, banned, device }: RosterRow): RosterDeviceView {
  return {
    line,
    serial: serial ?? null,
    box: box ?? null,
    resident: resident ?? null,
    pseudonym: pseudonym === undefined ? null : Buffer.from(pseudonym).toString('hex'),
    banned: device === undefined ? banned : device.standing === 'banned',
    device:
      device === undefined
        ? null
        : {
            address: formatIpv6(device.address),
            name: device.name ?? null,
            standing: device.standing,
            created: isoTime(device.created),
          },
  };
}
