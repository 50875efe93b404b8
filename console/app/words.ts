import type { DeviceDetails, DeviceView } from '../../fabric/operations/views/devices.ts';
import type { GroupRow } from '../../fabric/operations/views/groups.ts';
import { counted } from '../../protocol/words.ts';
import { ago } from './time.ts';

/** A number of things: "1 device", "1,204 devices". */
export const count = counted;

/** When those come back that were shut out, as a sentence behind another one. */
export const within = (seconds: number | undefined): string =>
  seconds === undefined
    ? ''
    : ` An agent that is running connects within ${seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`}.`;

/** Devices that are not simply there, of a batch or of all: what adds up to their number together with the active ones. */
export function outWords({
  banned,
  evicted,
  bannedAndEvicted,
  retired,
}: Pick<GroupRow, 'banned' | 'evicted' | 'bannedAndEvicted' | 'retired'>): readonly string[] {
  const number = (n: number): string => n.toLocaleString('en');
  const twice = bannedAndEvicted > 0 ? ` (${number(bannedAndEvicted)} of these banned as well)` : '';
  return [
    ...(banned > 0 ? [`${number(banned)} banned`] : []),
    ...(evicted > 0 ? [`${number(evicted)} evicted${twice}`] : []),
    ...(retired > 0 ? [`${number(retired)} retired`] : []),
  ];
}

/** The first 20 hex digits of a group's id in groups of four, as printed on the label. */
export const shortGid = (gid: string): string =>
  gid
    .slice(0, 20)
    .match(/.{1,4}/g)
    ?.join(' ') ?? gid;

/** Whether a device can be reached: a word, and how that is known. */
export function presenceOf(device: Pick<DeviceView, 'online' | 'silentSince' | 'lastTunnel'>): {
  readonly word: 'online' | 'silent' | 'offline' | 'never' | 'unknown';
  readonly how: string;
} {
  const { online, silentSince, lastTunnel } = device;
  if (silentSince !== undefined)
    return { word: 'silent', how: `has a tunnel, and was last heard ${ago(silentSince)}` };
  if (online === null) return { word: 'unknown', how: 'no fabric is serving, so nobody knows' };
  if (online)
    return {
      word: 'online',
      how: lastTunnel === null ? 'has a tunnel' : `has had a tunnel since ${ago(lastTunnel.at)}`,
    };
  if (lastTunnel === null) return { word: 'never', how: 'has provisioned, and never had a tunnel' };
  return {
    word: 'offline',
    how:
      lastTunnel.ended === null
        ? 'its tunnel ended with the fabric'
        : `its tunnel ended ${ago(lastTunnel.ended)}`,
  };
}

const REASONS: Readonly<Record<string, string>> = {
  ok: 'admitted',
  'fabric.group-not-admitted': 'its batch is not admitted here',
  'fabric.group-suspended': 'its batch is suspended',
  'fabric.group-full': 'its batch has as many devices as it may have',
  'fabric.country-unexpected': 'it came from a country that its batch does not allow',
  'fabric.not-on-roster': 'it is not on the roster of its batch',
  'fabric.roster-awaited': 'its batch waits for its roster',
  'fabric.not-resident': 'its chip does not keep its key, or no roster says so',
  'fabric.device-banned': 'the device is banned',
  'fabric.device-retired': 'the device is retired',
  'fabric.address-not-yours': 'it asked for an address of another device',
  'fabric.network-full': 'the network has no free address',
  'xtt.interrupted': 'the connection was cut',
  'net.abandoned': 'whoever began it left, and claimed nothing',
  'xtt.bad-group-signature': 'it did not prove its batch',
  'xtt.bad-longterm-signature': 'it did not prove its own key',
  'xtt.expired-cookie': 'it took too long',
  'xtt.spent-cookie': 'it was said a second time',
  'xtt.cookie-jar-full': 'too many tried at once',
};

/** A handshake's result in words; the code itself if there are none. */
export const resultWords = (result: string): string => REASONS[result] ?? result;

/** What is kept of the address that something came from. */
export const addressWords = (address: string): string => (address === '' ? 'not kept' : address);

const REGIONS = new Intl.DisplayNames(['en'], { type: 'region' });

/** Where an address is registered. */
export function placeWords(country: string | null): string {
  if (country === null) return 'unknown place';
  if (country === 'private') return 'private network';
  try {
    return REGIONS.of(country) ?? country;
  } catch {
    return country;
  }
}

/** Where an address is registered: its city where a database of cities said one, else its country. */
export const whereWords = ({
  country,
  city,
}: {
  readonly country: string | null;
  readonly city: DeviceDetails['city'];
}): string => (city === null ? placeWords(country) : cityWords(city));

/** Where an address is registered, as finely as a database of cities says, and how finely that is. */
export const cityWords = ({
  country,
  region,
  city,
  radiusKm,
}: NonNullable<DeviceDetails['city']>): string => {
  const names = [city, region].filter((name, i, all) => name !== null && all.indexOf(name) === i);
  return `${[...names, placeWords(country)].join(', ')}, within ${Math.ceil(radiusKm)} km`;
};

/** “1,000 packets and 1,000,000 bytes a second”; of a limit, null says nothing and 0 any number. */
export function rateWords({ packets, bytes }: DeviceDetails['limits']['in']): string {
  const words = [
    ...(packets === null ? [] : [packets === 0 ? 'any number of packets' : count(packets, 'packet')]),
    ...(bytes === null ? [] : [bytes === 0 ? 'any number of bytes' : count(bytes, 'byte')]),
  ];
  return words.length === 0 ? 'no limit' : `${words.join(' and ')} a second`;
}
