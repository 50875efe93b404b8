import {
  count,
  hexOf,
  ipv6,
  named,
  orNull,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';
import { DeviceView, RESIDENT } from './devices.ts';

/** The roster of a group. */
export const RosterView = named('Roster', 'The devices of a closed batch, as its maker has signed them.', {
  state: wordOf(
    ['arriving', 'indexing', 'in-force'],
    'Have all its lines come, and are no others admitted? Before it is in force, nobody is admitted because of it, or refused.',
  ),
  maker: hexOf(32, "What the maker's key is known by: SHA-256 of its SubjectPublicKeyInfo in DER."),
  sha256: hexOf(32, 'SHA-256 of its lines.'),
  bytes: count('How long its lines are.'),
  received: count('Bytes of them that are kept.'),
  devices: count('Devices that it names.'),
  unnamed: count('Those of them without a pseudonym, which cannot get in.'),
  indexed: count('Lines that can be looked up.'),
  perBox: orNull(count('Devices in a box; null: the maker has not said.')),
  names: whether('Are devices called by their serial numbers when they come?'),
  created: time('When it was begun.'),
  since: orNull(time('Since when it is in force; null: it is not.')),
  seen: orNull(count('Devices of it that have come; null: it is not in force.')),
  outside: orNull(
    count(
      'Devices of the group that are not on it: they were there before, and do not provision any more; null: it is not in force.',
    ),
  ),
  banned: count('Devices that are banned and have not come.'),
});
export type RosterView = Shown<typeof RosterView>;

/** What is known of the roster of a group. */
export const GROUP_ROSTER = {
  rosterAwaited: whether('Does nobody get in before a roster is in force?'),
  roster: orNull(RosterView),
};

export const RosterStatusView = named('RosterStatus', 'Whether a group has a roster.', {
  gid: hexOf(32, 'The id of the group.'),
  name: words('The name of the group.', 'batch 7'),
  ...GROUP_ROSTER,
});
export type RosterStatusView = Shown<typeof RosterStatusView>;

/** How far a roster is that arrives. */
export const RosterProgressView = shown({
  ...RosterStatusView.properties,
  offset: count('Where the next part of its lines begins.'),
});
export type RosterProgressView = Shown<typeof RosterProgressView>;

export const RosterDeviceView = named('RosterDevice', 'A device of a roster, whether it has come or not.', {
  line: count('Its line, from 1.'),
  serial: orNull(words('Its serial number; null: it has none.', 'GW-0001')),
  box: orNull(count('The number of its box; null: the maker has not said what a box holds.')),
  pseudonym: orNull(
    hexOf(
      65,
      'What the group signatures of its chip have in common; null: it was made before that was noted.',
    ),
  ),
  resident: orNull(RESIDENT),
  banned: whether('Is it refused: because it is banned, or was before it ever came?'),
  device: orNull(
    shown(
      {
        address: ipv6('Its address.'),
        name: DeviceView.properties.name,
        standing: DeviceView.properties.standing,
        created: time('When it came for the first time.'),
      },
      'Null: it has not been seen yet.',
    ),
  ),
});
export type RosterDeviceView = Shown<typeof RosterDeviceView>;
