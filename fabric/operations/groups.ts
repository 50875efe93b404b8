import { toHex } from '../../protocol/bytes.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { basenameText, type Label, MAX_COUNT } from '../../protocol/label.ts';
import { publicKeyPem } from '../../protocol/pem.ts';
import { LONGEST_HEADER } from '../../protocol/roster.ts';
import { countries } from '../geo/countries.ts';
import { parseCountries } from '../geo/country-list.ts';
import type { CountedGroup, Group, GroupStatus, StandingCounts } from '../registry/records.ts';
import type { GroupChange } from '../registry/registry.ts';
import { handshakeView } from './audit.ts';
import { badInput, list, oneOf, optional, text, whole } from './contract/input.ts';
import { type Changed, filteredList, isoTime, operation, type ReadContext } from './contract/operation.ts';
import { backWithin } from './devices.ts';
import { knockingOf, MOST_ATTEMPTS } from './knocking.ts';
import { rosterFields } from './rosters.ts';
import { textFilter } from './search.ts';
import type { ArrivalsView, GroupDetails, GroupRow, GroupStatusView, GroupView } from './views/groups.ts';

/** Characters that are looked at; labels are read with what else a group needs, only when one is admitted. */
export const LONGEST_LABEL = 4_096;

/** Characters of a maker's public key in base64; it has 60. */
export const LONGEST_MAKER_KEY = 400;

const MOST_DEVICES = MAX_COUNT;
/** There are some 250. */
const MOST_COUNTRIES = 300;
const COUNTRIES = list(text(16), MOST_COUNTRIES);

/**
 * `announced`: how many devices are expected, unless given what the label says, 0: not known; `most`: how many may come; `countries`: where they may come from for the first time;
 * `status`: active unless given; `roster`: the first line of the roster without which nobody gets in, and whose maker alone may give it; `maker`: the
 * public key (base64 of DER) with which the label has to be signed.
 */
interface GroupInput {
  readonly label: string;
  readonly network: string;
  readonly announced?: number | undefined;
  readonly most?: number | undefined;
  readonly countries?: readonly string[] | undefined;
  readonly status?: GroupStatus | undefined;
  readonly roster?: string | undefined;
  readonly maker?: string | undefined;
}

/**
 * Admits a group by the text of its label. @throws Failure `label.…`, `ecdaa.bad-group-key`, `fabric.unknown-network`, `fabric.group-exists`,
 * `fabric.bad-country`, `factory.bad-maker-key`, `roster.…`
 */
export const admitGroup = operation<GroupInput, Changed<GroupView>>(
  'group-add',
  {
    label: text(LONGEST_LABEL),
    network: text(64),
    announced: optional(whole(0, MOST_DEVICES)),
    most: optional(whole(1, MOST_DEVICES)),
    countries: optional(COUNTRIES),
    status: optional(oneOf('active', 'suspended')),
    roster: optional(text(LONGEST_HEADER)),
    maker: optional(text(LONGEST_MAKER_KEY)),
  },
  async ({ registry, running, actor }, input) => {
    const network = await registry.network(input.network);
    const { openLabel } = await import('../labels/label.ts');
    const { label, gid, claimHash } = openLabel(input.label);
    if (input.maker !== undefined) {
      const { requireSigned } = await import('../labels/signature.ts');
      requireSigned(label, publicKeyPem(input.maker));
    }
    const { gpk, basename, name } = label;
    const { status, announced = label.count ?? 0 } = input;
    const group = {
      ...{ gid, gpk, basename, name, network },
      ...(claimHash !== undefined && { claimHash }),
      ...limitsOf({ ...input, announced: announced === 0 ? undefined : announced }),
      ...(status !== undefined && { status }),
      ...(input.roster !== undefined && { maker: await makerOf(input.roster, label, gid) }),
    };
    const added = await registry.addGroup(actor, group);
    return { view: groupView(added), effect: await running.notify() };
  },
);

/** Of a roster for the group of a label, and the same as that of the label if it is signed. @throws Failure `roster.…` */
async function makerOf(header: string, label: Label, gid: Uint8Array): Promise<Uint8Array> {
  const { openRoster, requireSameMaker } = await import('../labels/roster.ts');
  const { maker, makerKey } = openRoster(header, gid);
  requireSameMaker(label, makerKey);
  return maker;
}

/** A page of groups, oldest first, with the number of devices of each: all, or those with `q` in their name or id. */
export const listGroups = filteredList<CountedGroup, GroupRow, { q?: string | undefined }>(
  'group-list',
  { q: optional(text(64)) },
  (registry, page, { q }) => registry.groups(page, textFilter(q)),
  () => (group) => ({ ...groupView(group), ...standingsOf(group) }),
);

function standingsOf(group: StandingCounts): StandingCounts {
  const { devices, active, banned, evicted, bannedAndEvicted, retired } = group;
  return { devices, active, banned, evicted, bannedAndEvicted, retired };
}

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
const BEYOND_LIMITS = ['fabric.group-full', 'fabric.country-unexpected'];

/** One group, by the first digits of its id. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
export const showGroup = operation<{ gid: string }, GroupDetails, ReadContext>(
  'group-show',
  { gid: text(128) },
  async ({ registry }, { gid }) => {
    const group = await registry.group(gid);
    const [last] = await registry.arrivals(group.gid, 1);
    const limited = group.most !== undefined || group.countries !== undefined;
    const refusals = await registry.handshakes(
      { limit: limited ? MOST_ATTEMPTS : REFUSALS_SHOWN },
      { gid: group.gid, result: 'refused' },
    );
    const countryOf = await countries();
    const beyond = limited ? refusals.rows.filter(({ result }) => BEYOND_LIMITS.includes(result)) : [];
    return {
      ...groupView(group),
      ...(await registry.groupNumbers(group.gid)),
      lastArrival: last === undefined ? null : isoTime(last.at),
      ...rosterFields(await registry.roster(group.gid)),
      delegates: await registry.isGroupGranted(group.gid),
      refusals: refusals.rows.slice(0, REFUSALS_SHOWN).map((row) => handshakeView(row, countryOf)),
      beyondLimits: await knockingOf(beyond),
    };
  },
);

interface GroupChangeInput extends Limits {
  readonly gid: string;
  readonly name?: string | undefined;
}

/**
 * Changes what is given of a group: its name, how many devices are expected (0: not known), how many may come (0: any number), and from which
 * countries (none: from anywhere). @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.bad-country`
 */
export const changeGroup = operation<GroupChangeInput, Changed<GroupView>>(
  'group-change',
  {
    gid: text(128),
    name: optional(text(60)),
    announced: optional(whole(0, MOST_DEVICES)),
    most: optional(whole(0, MOST_DEVICES)),
    countries: optional(COUNTRIES),
  },
  async ({ registry, running, actor }, { gid, name, ...limits }) => {
    if (name?.trim() === '') throw badInput('name', 'is empty');
    const change: GroupChange = { ...(name !== undefined && { name }), ...limitsOf(limits) };
    if (Object.keys(change).length === 0)
      throw badInput('name', 'or announced, most or countries has to be given');
    const group = await registry.group(gid);
    await registry.changeGroup(actor, group.gid, change);
    const changed = await registry.group(toHex(group.gid));
    return { view: groupView(changed), effect: await running.notify() };
  },
);

interface Limits {
  readonly announced?: number | undefined;
  readonly most?: number | undefined;
  readonly countries?: readonly string[] | undefined;
}

/** What is given of them. @throws Failure `fabric.bad-country` */
function limitsOf({ announced, most, countries: words }: Limits): Omit<GroupChange, 'name'> {
  return {
    ...(announced !== undefined && { announced }),
    ...(most !== undefined && { most }),
    ...(words !== undefined && { countries: parseCountries(words) }),
  };
}

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
    basename: basenameText(group.basename),
    network: formatPrefix(group.network),
    owner: group.ownerName,
    status: group.status,
    ca: group.anchor ?? null,
    hasClaim: group.claimHash !== undefined,
    announced: group.announced ?? null,
    most: group.most ?? null,
    countries: group.countries ?? null,
    created: isoTime(group.created),
  };
}
