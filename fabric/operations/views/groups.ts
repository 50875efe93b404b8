import { optional } from '../contract/input.ts';
import {
  CHANGED,
  count,
  hexOf,
  ipv6,
  listOf,
  named,
  number,
  orNull,
  prefix,
  rowsOf,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';
import { POOL } from './delegations.ts';
import { STANDING_COUNTS, StandingView } from './devices.ts';
import { COUNTRY, HandshakeView } from './handshakes.ts';
import { GROUP_ROSTER } from './rosters.ts';

const GID = hexOf(32, 'The id of the group.');

/** A group: a batch of devices. */
export const GroupView = named('Group', 'A group: a batch of devices.', {
  gid: GID,
  name: words('Its name.', 'batch 7'),
  basename: words(
    'What the signatures of its chips are made over, so that each chip has one pseudonym: a text, or hex behind 0x if it is none.',
    'xaprcnet',
  ),
  network: prefix('The network of its devices.'),
  owner: words('The name of the owner whose it is.', 'default'),
  ca: orNull(
    number('The number of the CA that vouches for its devices; null: they prove themselves with TPMs.'),
  ),
  status: wordOf(['active', 'suspended'], 'May its devices use the network?'),
  hasClaim: whether('Had its label a claim secret?'),
  announced: orNull(count('How many devices are expected; null: nobody has said.')),
  most: orNull(count('No further device comes in for the first time if so many have; null: no limit.')),
  countries: orNull(
    listOf(
      words('An ISO 3166-1 code, `private` or `unknown`.', 'CH'),
      'Where a device may come from for the first time; null: from anywhere.',
    ),
  ),
  created: time('When it was admitted.'),
});
export type GroupView = Shown<typeof GroupView>;

const NUMBERS = { devices: count('How many devices it has.'), ...STANDING_COUNTS };

export const GroupRow = named('GroupRow', 'A group with the numbers of its devices.', {
  ...GroupView.properties,
  ...NUMBERS,
});
export type GroupRow = Shown<typeof GroupRow>;

export const GroupStatusView = shown({
  ...GroupView.properties,
  changed: CHANGED,
  backWithin: optional(StandingView.properties.backWithin),
});
export type GroupStatusView = Shown<typeof GroupStatusView>;

/** Refused handshakes of a group, among the last that are kept. */
export const KnockingView = shown(
  {
    attempts: count('How many there were.'),
    first: time('When the first one was.'),
    last: time('When the last one was.'),
    countries: listOf(COUNTRY, 'At most ten, the most frequent one first.'),
  },
  'Refused handshakes of a group, among the last that are kept.',
);
export type KnockingView = Shown<typeof KnockingView>;

/** A group with what is known of its devices. */
export const GroupDetails = named('GroupDetails', 'A group with what is known of its devices.', {
  ...GroupView.properties,
  ...NUMBERS,
  connected: count('Devices with a tunnel.'),
  lastArrival: orNull(time('When the last new device came, to the minute; null: none has.')),
  ...GROUP_ROSTER,
  delegates: whether('Does each of its devices get a prefix for the machines behind it?'),
  refusals: listOf(
    HandshakeView,
    'The newest refused handshakes that claim the group, among the last that are kept: ten at most.',
  ),
  beyondLimits: orNull(
    shown(
      KnockingView.properties,
      'Proven devices that did not come in because of a limit of the group; null: there are none.',
    ),
  ),
});
export type GroupDetails = Shown<typeof GroupDetails>;

export const ArrivalsView = rowsOf(
  shown({ at: time('A minute.'), devices: count('How many devices had come by then.') }),
);
export type ArrivalsView = Shown<typeof ArrivalsView>;

export const RemovedGroupView = shown({ gid: GID, name: words('The name that it had.') });
export type RemovedGroupView = Shown<typeof RemovedGroupView>;

/** What a label says, and what is known here of its group. */
export const LabelView = named('Label', 'What a label says, and what is known here of its group.', {
  gid: GID,
  name: words('The name of the group as the label says it.', 'batch 7'),
  vendor: orNull(words('As the label says, which nobody has checked.')),
  basename: words('See Group.'),
  announced: orNull(count('How many devices the batch has, as the label says; null: it does not.')),
  box: orNull(
    shown(
      {
        number: count('Its number, from 1.'),
        boxes: count('How many boxes there are.'),
        devices: count('How many devices are in it.'),
      },
      'Of which box of the batch this is the label; null: it is that of the batch.',
    ),
  ),
  hasClaim: whether('Has it a claim secret?'),
  signature: wordOf(
    ['none', 'good', 'wrong', 'not-checked'],
    "Has a maker signed it? `wrong`: not the one whose key was given; `not-checked`: nobody has given a key, and none of those of the owner's rosters fits.",
  ),
  maker: orNull(
    hexOf(32, 'What the key is known by that has signed it, see Roster; null: the signature is not good.'),
  ),
  group: orNull(GroupView),
  knocking: orNull(
    shown(
      KnockingView.properties,
      'Handshakes that claim the group, which is not admitted: they prove nothing; null: there are none.',
    ),
  ),
});
export type LabelView = Shown<typeof LabelView>;

const ZONE = orNull(
  words(
    'The domain below which its devices have their names in DNS; null: they have none.',
    'plant.internal',
  ),
);

const RESIDENT_ONLY = whether(
  'Does it take only devices whose chips keep their keys, as the roster of their group says?',
);

export const NetworkView = named('Network', 'A network.', {
  prefix: prefix(),
  name: words('Its name.', 'plant'),
  owner: words('The name of the owner whose it is.', 'default'),
  zone: ZONE,
  note: orNull(words('What somebody has noted of it; null: nothing.')),
  residentOnly: RESIDENT_ONLY,
  pool: POOL,
  host: ipv6("The address of the fabric's host in it."),
  created: time('When it was added.'),
});
export type NetworkView = Shown<typeof NetworkView>;

export const LentView = shown({
  prefixes: listOf(
    prefix('A prefix.'),
    'What the host has lent the owner for whom the caller acts: its networks lie in them.',
  ),
  anywhere: whether(
    'Nothing was lent to it, and it is the first owner: it adds networks in what is lent to nobody.',
  ),
});
export type LentView = Shown<typeof LentView>;

export const RenamedNetworkView = shown({ prefix: prefix(), name: words('The new name.') });
export type RenamedNetworkView = Shown<typeof RenamedNetworkView>;

export const ZoneView = shown({ prefix: prefix(), zone: ZONE });
export type ZoneView = Shown<typeof ZoneView>;

export const ResidentView = shown({ prefix: prefix(), residentOnly: RESIDENT_ONLY });
export type ResidentView = Shown<typeof ResidentView>;

export const RemovedNetworkView = shown({ prefix: prefix() });
export type RemovedNetworkView = Shown<typeof RemovedNetworkView>;
