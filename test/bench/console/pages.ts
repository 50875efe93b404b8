import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../scale/report.ts';
import { type ServedConsole, TOKENS } from './serving.ts';

const LIST = { median: 5, p99: 25 };
const NUMBERS = { median: 50, p99: 100 };
/** Between two requests: a token may make 600 within half a minute. */
const PAUSE_MS = Math.ceil(55 / TOKENS);

interface DeviceRow {
  readonly address: string;
}

/** What each page asks for. */
export async function measurePages(
  console: ServedConsole,
  { gid, requests }: { readonly gid: string; readonly requests: number },
): Promise<Row[]> {
  const { answer } = await console.get<{ rows: readonly DeviceRow[]; next: string }>('/devices?limit=50');
  const address = answer.rows[7]!.address;
  const end = address.slice(address.lastIndexOf(':') + 1);
  const pages: readonly (readonly [what: string, path: string, must: typeof LIST])[] = [
    ['devices', '/devices?limit=50', LIST],
    ['devices, next page', `/devices?limit=50&after=${answer.next}`, LIST],
    ['devices of a batch', `/devices?limit=50&gid=${gid}`, LIST],
    ['devices, banned', '/devices?limit=50&standing=banned', LIST],
    ['devices, active', '/devices?limit=50&standing=active', LIST],
    ['devices with a tunnel', '/devices?limit=50&tunnel=open', LIST],
    [
      'devices banned, of a batch, with a tunnel',
      `/devices?limit=50&gid=${gid}&standing=banned&tunnel=open`,
      LIST,
    ],
    ['search, a name', '/devices?limit=50&q=pump-7', LIST],
    ['search, three characters of a name', '/devices?limit=50&q=ump', LIST],
    ['search, three characters that nobody has', '/devices?limit=50&q=zzz', LIST],
    ['search, three characters of an address', `/devices?limit=50&q=${address.slice(-8, -5)}`, LIST],
    ['search, a part of an address', `/devices?limit=50&q=${address.slice(-12, -2)}`, LIST],
    ['search, the end of an address', `/devices?limit=50&q=${end}`, LIST],
    ['search, an address', `/devices?limit=50&q=${address}`, LIST],
    ['one device', `/devices/${address}`, LIST],
    ['batches', '/groups?limit=50', LIST],
    ['one batch', `/groups/${gid}`, LIST],
    ['arrivals of a batch', `/groups/${gid}/arrivals`, LIST],
    ['handshakes', '/handshakes?limit=50', LIST],
    ['audit trail', '/audit?limit=50', LIST],
    ['overview', '/overview', NUMBERS],
    ['map', '/handshakes/countries?hours=2160', NUMBERS],
    ['map, cities', '/handshakes/places', NUMBERS],
  ];
  const rows: Row[] = [];
  for (const [what, path, must] of pages)
    rows.push(...(await measured(console, { what, path, must, requests })));
  return rows;
}

async function measured(
  console: ServedConsole,
  { what, path, must, requests }: { what: string; path: string; must: typeof LIST; requests: number },
): Promise<Row[]> {
  const times: number[] = [];
  for (let i = 0; i < requests; i++) {
    times.push((await console.get(path)).ms);
    await sleep(PAUSE_MS);
  }
  times.sort((one, other) => one - other);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))]!;
  return [
    { what: `${what}, median`, unit: 'ms', value: at(0.5), must: { atMost: must.median } },
    { what: `${what}, 99th percentile`, unit: 'ms', value: at(0.99), must: { atMost: must.p99 } },
  ];
}
