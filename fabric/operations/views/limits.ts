import { count, named, orNull, prefix, type Shown, shown, time, words } from '../contract/output.ts';

const VALUES = {
  packets: orNull(count('Packets in a second.')),
  bytes: orNull(count('Bytes in a second, of whole IPv6 packets.')),
};

/** One limit of a network. */
export const LimitView = named('RateLimit', 'How much devices of a network may send and get in a second.', {
  network: prefix('The network whose limit it is.'),
  devices: shown(
    {
      names: words(
        '`any`: each device of the network; `group:…` or `device:…`; `max`: what the host allows each device, and no other limit exceeds.',
        'group:9f2a…',
      ),
      called: orNull(words('The present name of that; null: it has none.', 'batch 7')),
    },
    'Whose it is.',
  ),
  in: shown(VALUES, 'What comes to each device. 0: any number; null: as the limit of more devices says.'),
  out: shown(VALUES, 'What each device sends, likewise.'),
  changed: time('When it was last changed.'),
});
export type LimitView = Shown<typeof LimitView>;

const OWN = {
  packets: orNull(count('Packets in a second; null: any number.')),
  bytes: orNull(count('Bytes in a second, of whole IPv6 packets; null: any number.')),
};

/** What a device may, by all limits of its network. */
export const DEVICE_LIMITS = shown(
  {
    in: shown(OWN, 'What comes to it.'),
    out: shown(OWN, 'What it sends.'),
    dropped: orNull(
      count('Packets that were dropped because of that since its tunnel began; null: it has none.'),
    ),
  },
  'What the device may send and get, by all rate limits that concern it.',
);
