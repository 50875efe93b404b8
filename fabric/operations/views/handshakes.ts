import {
  count,
  degrees,
  details,
  hexOf,
  ipv6,
  kilometres,
  named,
  number,
  orNull,
  type Shown,
  shown,
  time,
  whether,
  words,
} from '../contract/output.ts';

/** Where an address is registered, which need not be where the device is. */
export const COUNTRY = orNull(
  words(
    'Where the source address is registered: ISO 3166-1 alpha-2 or `private`; null: nobody knows.',
    'CH',
    'private',
  ),
);

/** What a database of cities says of an address. */
export const CITY_FIELDS = {
  country: words('ISO 3166-1 alpha-2.', 'CH'),
  region: orNull(words('As the database names it; null: it names none.', 'Zurich')),
  city: orNull(words('As the database names it; null: it names none.', 'Winterthur')),
  latitude: degrees('In degrees, north of the equator.', 90),
  longitude: degrees('In degrees, east of Greenwich.', 180),
  radiusKm: kilometres('So far around that point it may be.'),
};

/** Where an address is registered, as finely as a database of cities says. */
export const CITY = orNull(
  shown(
    CITY_FIELDS,
    'Where the address is registered, as a database of cities says; null: it does not say, there is none, or no addresses are kept.',
  ),
);

export const HandshakeView = named('Handshake', 'A handshake, good or refused.', {
  at: time('When it was.'),
  source: words('The source address.', '2001:db8::7'),
  country: COUNTRY,
  city: CITY,
  suite: orNull(number('The cipher suite of XTT; null: none was chosen.')),
  gid: orNull(hexOf(32, 'The id of the group that was claimed; null: none was.')),
  pseudonym: orNull(hexOf(65, 'What the group signatures of the chip have in common.')),
  proven: whether('Has it proved membership of the group?'),
  result: words('`ok`, or the code of the failure.', 'ok', 'fabric.group-not-admitted'),
  address: orNull(ipv6('What the device got; null: nothing.')),
  owner: orNull(words('The name of the owner who had the group when it came; null: nobody had.', 'default')),
});
export type HandshakeView = Shown<typeof HandshakeView>;

/** Handshakes with one result, of which only the number is kept; times are ISO 8601 in UTC. */
export const HandshakeCountView = named(
  'HandshakeCount',
  'Handshakes with one result, of which only the number is kept.',
  {
    result: words('`ok`, or the code of the failure.', 'xtt.bad-signature'),
    times: count('How many there were.'),
    first: time('When the first one was.'),
    last: time('When the last one was.'),
  },
);
export type HandshakeCountView = Shown<typeof HandshakeCountView>;

export const AuditView = named('AuditEntry', 'An entry of the audit trail.', {
  seq: number('Its place in the trail, without a gap.'),
  at: time('When it was written.'),
  actor: words('Who did it.', 'Anna (person 2)'),
  action: words('What was done.', 'device.ban'),
  subject: words('To what: an address, a prefix, an id.'),
  detail: details('What else was said, by action.'),
  owner: orNull(words("The name of the owner whose it is; null: it is the host's.", 'default')),
  hash: orNull(
    hexOf(
      32,
      'SHA-256 over the hash of the entry before and this entry; null: whoever asks does not see all entries.',
    ),
  ),
});
export type AuditView = Shown<typeof AuditView>;

export const VerifiedView = shown({
  entries: count('How many entries the trail has.'),
  head: hexOf(32, 'The hash of the newest one.'),
});
export type VerifiedView = Shown<typeof VerifiedView>;

export const AcceptedView = shown({ accepted: whether('False if nothing was missing.') });
export type AcceptedView = Shown<typeof AcceptedView>;
