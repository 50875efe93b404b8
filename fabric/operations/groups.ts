import { toHex } from '../../protocol/bytes.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { type Group, type GroupStatus, parseNetwork } from '../registry/records.ts';
import { oneOf, text } from './input.ts';
import { type Changed, isoTime, listOperation, operation } from './operation.ts';

/** Characters that are looked at; labels are read with what else a group needs, only when one is admitted. */
const LONGEST_LABEL = 4_096;

/** A group: a batch of devices. */
export interface GroupView {
  /** 64 hex digits. */
  readonly gid: string;
  readonly name: string;
  readonly basename: string;
  readonly network: string;
  readonly status: GroupStatus;
  readonly hasClaim: boolean;
  readonly created: string;
}

/** Admits a group by the text of its label. @throws Failure `label.…`, `ecdaa.bad-group-key`, `fabric.unknown-network`, `fabric.group-exists` */
export const admitGroup = operation<{ label: string; network: string }, Changed<GroupView>>(
  'group-add',
  { label: text(LONGEST_LABEL), network: text(64) },
  async ({ registry, running, actor }, input) => {
    const network = parseNetwork(input.network);
    const { openLabel } = await import('../labels/label.ts');
    const { label, gid, claimHash } = openLabel(input.label);
    const { gpk, basename, name } = label;
    const group = { gid, gpk, basename, name, network, ...(claimHash === undefined ? {} : { claimHash }) };
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
export const setGroupStatus = operation<
  { gid: string; status: GroupStatus },
  Changed<GroupView & { readonly changed: boolean }>
>(
  'group-status',
  { gid: text(128), status: oneOf('active', 'suspended') },
  async ({ registry, running, actor }, { gid, status }) => {
    const group = await registry.group(gid);
    const changed = await registry.setGroupStatus(actor, group.gid, status);
    const effect = await running.notify();
    return { view: { ...groupView({ ...group, status }), changed }, effect };
  },
);

function groupView(group: Group): GroupView {
  return {
    gid: toHex(group.gid),
    name: group.name,
    basename: toHex(group.basename),
    network: formatPrefix(group.network),
    status: group.status,
    hasClaim: group.claimHash !== undefined,
    created: isoTime(group.created),
  };
}
