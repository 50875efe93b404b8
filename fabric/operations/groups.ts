import { toHex } from '../../protocol/bytes.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { countries } from '../geo/countries.ts';
import type { Group, GroupStatus } from '../registry/records.ts';
import { handshakeView } from './audit.ts';
import { badInput, oneOf, optional, text, whole } from './contract/input.ts';
import { type Changed, isoTime, listOperation, operation, type ReadContext } from './contract/operation.ts';
import { backWithin } from './devices.ts';
import type { ArrivalsView, GroupDetails, GroupStatusView, GroupView } from './views/groups.ts';

/** Characters that are looked at; labels are read with what else a group needs, only when one is admitted. */
export const LONGEST_LABEL = 4_096;

/** More devices than anybody makes in one batch. */
const MOST_ANNOUNCED = 10_000_000;

/** `announced`: how many devices are expected; `status`: active unless given. */
interface GroupInput {
  readonly label: string;
  readonly network: string;
  readonly announced?: number | undefined;
  readonly status?: GroupStatus | undefined;
}

/** Admits a group by the text of its label. @throws Failure `label.…`, `ecdaa.bad-group-key`, `fabric.unknown-network`, `fabric.group-exists` */
export const admitGroup = operation<GroupInput, Changed<GroupView>>(
  'group-add',
  {
    label: text(LONGEST_LABEL),
    network: text(64),
    announced: optional(whole(1, MOST_ANNOUNCED)),
    status: optional(oneOf('active', 'suspended')),
  },
  async ({ registry, running, actor }, input) => {
    const network = await registry.network(input.network);
    const { openLabel } = await import('../labels/label.ts');
    const { label, gid, claimHash } = openLabel(input.label);
    const { gpk, basename, name } = label;
    const { announced, status } = input;
    const group = {
      ...{ gid, gpk, basename, name, network },
      ...(claimHash !== undefined && { claimHash }),
      ...(announced !== undefined && { announced }),
      ...(status !== undefined && { status }),
    };
    const added = await registry.addGroup(actor, group);
    return { view: groupView(added), effect: await running.notify() };
  },
);

/** A page of groups, oldest first, with the number of devices of each. */
export const listGroups = listOperation(
  'group-list',
  (registry, page) => registry.groups(page),
  () => (group) => ({ ...groupView(group), devices: group.devices }),
);

/** Suspends a group or resumes it, by the first digits of its id. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const setGroupStatus = operation<{ gid: string; status: GroupStatus }, Changed<GroupStatusView>>(
  'group-status',
  { gid: text(128), status: oneOf('active', 'suspended') },
  async ({ registry, running, actor }, { gid, status }) => {
    const group = await registry.group(gid);
    const back = backWithin(registry);
    const changed = await registry.setGroupStatus(actor, group.gid, status);
    const effect = await running.notify();
    const readmitted = changed && status === 'active';
    return { view: { ...groupView({ ...group, status }), changed, ...(readmitted && back) }, effect };
  },
);

const REFUSALS_SHOWN = 10;

/** One group, by the first digits of its id. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const showGroup = operation<{ gid: string }, GroupDetails, ReadContext>(
  'group-show',
  { gid: text(128) },
  async ({ registry }, { gid }) => {
    const group = await registry.group(gid);
    const [last] = await registry.arrivals(group.gid, 1);
    const refusals = await registry.handshakes(
      { limit: REFUSALS_SHOWN },
      { gid: group.gid, result: 'refused' },
    );
    const countryOf = await countries();
    return {
      ...groupView(group),
      ...(await registry.groupNumbers(group.gid)),
      lastArrival: last === undefined ? null : isoTime(last.at),
      refusals: refusals.rows.map((row) => handshakeView(row, countryOf)),
    };
  },
);

/** Changes a group's name, or how many devices are expected (0: not known). @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const changeGroup = operation<
  { gid: string; name?: string | undefined; announced?: number | undefined },
  Changed<GroupView>
>(
  'group-change',
  { gid: text(128), name: optional(text(60)), announced: optional(whole(0, MOST_ANNOUNCED)) },
  async ({ registry, running, actor }, { gid, name, announced }) => {
    if (name === undefined && announced === undefined) throw badInput('name', 'or announced is given');
    if (name?.trim() === '') throw badInput('name', 'is empty');
    const group = await registry.group(gid);
    const change = { ...(name !== undefined && { name }), ...(announced !== undefined && { announced }) };
    await registry.changeGroup(actor, group.gid, change);
    const changed = await registry.group(toHex(group.gid));
    return { view: groupView(changed), effect: await running.notify() };
  },
);

/** Points of a curve. */
const MOST_POINTS = 500;

/** How many devices of a group had come by when, at most 500 times. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const groupArrivals = operation<{ gid: string }, ArrivalsView, ReadContext>(
  'group-arrivals',
  { gid: text(128) },
  async ({ registry }, { gid }) => {
    const group = await registry.group(gid);
    const arrivals = await registry.arrivals(group.gid);
    const all = await registry.groupNumbers(group.gid);
    let devices = all.devices - arrivals.reduce((sum, each) => sum + each.devices, 0);
    const points = arrivals.map((each) => {
      devices += each.devices;
      return { at: isoTime(each.at), devices };
    });
    const step = Math.ceil(points.length / MOST_POINTS);
    return { rows: points.filter((_, i) => i % step === 0 || i === points.length - 1) };
  },
);

export function groupView(group: Group): GroupView {
  return {
    gid: toHex(group.gid),
    name: group.name,
    basename: toHex(group.basename),
    network: formatPrefix(group.network),
    status: group.status,
    hasClaim: group.claimHash !== undefined,
    announced: group.announced ?? null,
    created: isoTime(group.created),
  };
}
