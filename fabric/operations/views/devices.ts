import { STANDINGS } from '../../registry/admission.ts';
import { DEVICE_KINDS } from '../../registry/records.ts';
import { optional } from '../contract/input.ts';
import {
  CHANGED,
  count,
  hex,
  hexOf,
  ipv6,
  listOf,
  named,
  number,
  orNull,
  prefix,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';
import { CITY, COUNTRY, HandshakeCountView } from './handshakes.ts';
import { DEVICE_LIMITS } from './limits.ts';

const STANDING = wordOf(STANDINGS, 'Whether the device may use the network, and if not, why.');
const ADDRESS = ipv6('The address of the device.');
/** How many devices have which standing: those that are banned and evicted are in either number. */
export const STANDING_COUNTS = {
  active: count('Of those: neither banned, evicted nor retired.'),
  banned: count('Of those: banned.'),
  evicted: count('Of those: evicted, also if they are banned as well.'),
  bannedAndEvicted: count('Of those: banned and evicted, so that they are in both numbers.'),
  retired: count('Of those: retired.'),
};

/** As a roster says. */
export const RESIDENT = whether(
  "Did its chip make the member's key, and keeps it, as the roster says? Else its secret is sealed in the chip, or in files; null: it does not say.",
);
const NOTE = orNull(words('What somebody has noted of it; null: nothing.'));
const NAME = orNull(words('The name of the device; null: it has none.', 'pump-3'));

export const AgentView = shown(
  {
    version: words("The agent's version.", '0.1.0'),
    reported: time('When the agent has said so.'),
    lastFailure: orNull(
      shown({ code: words('See docs/errors.md.', 'tpm.busy'), at: time('When it happened.') }),
    ),
  },
  'What the agent on the device reports; null: nothing yet.',
);
export type AgentView = Shown<typeof AgentView>;

/** A device; times are ISO 8601 in UTC, keys and ids hex. */
export const DeviceView = named('Device', 'A device.', {
  address: ADDRESS,
  name: NAME,
  standing: STANDING,
  online: orNull(whether('Has it a tunnel? Null: no fabric is serving, so nobody knows.')),
  silentSince: optional(
    time('When it was last heard, if it is online and does not answer any more; soon it is offline.'),
  ),
  group: words('The name of its group.', 'batch 7'),
  gid: hexOf(32, 'The id of its group.'),
  network: prefix(),
  owner: words('The name of the owner whose it is.', 'default'),
  note: NOTE,
  kind: wordOf(
    DEVICE_KINDS,
    'How it proves itself: `tpm`: with its TPM; `pki`: with a certificate of a CA of its owner; `key`: with a key that its owner has registered.',
  ),
  pseudonym: hexOf(
    65,
    'What the group signatures of its chip have in common; without a chip its address between zeros.',
  ),
  longtermKey: hex(
    'The public key of its newest handshake, or that was registered; zeros with a certificate.',
  ),
  created: time('When it came for the first time.'),
  lastHandshake: shown({
    at: time('When it provisioned last, or when its key was registered.'),
    from: words('The source address; empty of a registered key.'),
  }),
  country: COUNTRY,
  lastTunnel: orNull(
    shown({
      at: time('When its last tunnel began.'),
      from: words('The source address.', '[2001:db8::7]:4433'),
      ended: orNull(time('When it ended; null: it has not, as far as is known.')),
    }),
  ),
  node: orNull(
    words(
      'The node where its tunnel ends; null: it has none, the fabric has no nodes, or whoever asks does not see all owners.',
      'a',
    ),
  ),
  agent: orNull(AgentView),
});
export type DeviceView = Shown<typeof DeviceView>;

/** A device with its newest handshakes. */
export const DeviceDetails = named('DeviceDetails', 'A device with its newest handshakes.', {
  ...DeviceView.properties,
  movedTo: optional(ipv6('Of a retired device: the address that its former chip took over.')),
  serial: orNull(words('Its serial number, as the roster of its group says; null: it does not.', 'GW-0001')),
  box: orNull(number('The number of the box that it came in, as the roster says; null: it does not.')),
  resident: orNull(RESIDENT),
  delegated: orNull(
    prefix(
      'The /64 that it has for the machines behind it; null: none, or it gets one when it has a tunnel.',
    ),
  ),
  city: CITY,
  limits: DEVICE_LIMITS,
  twins: orNull(
    shown(
      { at: time('When that was last found.'), from: listOf(words('A source address.')) },
      "Two devices were found to have this one's key: when, and where they connect from.",
    ),
  ),
  handshakes: listOf(
    shown({
      at: time('When it was.'),
      source: words('The source address.', '2001:db8::7'),
      country: COUNTRY,
      city: CITY,
      suite: orNull(number('The cipher suite of XTT; null: none was chosen.')),
      proven: whether('Has it proved membership of its group?'),
      result: words('`ok`, or the code of the failure.', 'ok'),
    }),
    'The newest 50 at most, the newest first.',
  ),
  earlierHandshakes: listOf(
    HandshakeCountView,
    'Earlier ones, of which only the numbers are kept, the most frequent result first.',
  ),
});
export type DeviceDetails = Shown<typeof DeviceDetails>;

export const StandingView = named('Standing', 'What is so now of a device.', {
  address: ADDRESS,
  standing: STANDING,
  changed: CHANGED,
  backWithin: optional(
    count('Seconds within which an agent that was shut out until now has connected again.'),
  ),
});
export type StandingView = Shown<typeof StandingView>;

export const NamedView = shown({
  address: ADDRESS,
  name: NAME,
  note: NOTE,
});
export type NamedView = Shown<typeof NamedView>;

export const ReplacedView = shown({
  address: ipv6('What the new device has from now on.'),
  name: NAME,
  former: ipv6('What the new device had until now; the chip of the old one is retired with it.'),
});
export type ReplacedView = Shown<typeof ReplacedView>;

/** What a filter finds. */
export const CountView = shown({
  matching: count('Devices that the filter finds, 100,000 at most.'),
  changing: count('Of those: how many the change would change.'),
  more: whether('Does it find more than were counted?'),
});
export type CountView = Shown<typeof CountView>;
