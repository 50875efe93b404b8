import { setTimeout as sleep } from 'node:timers/promises';
import { askControl } from '../../os/net/control-socket.ts';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6, formatPrefix } from '../../protocol/ipv6.ts';
import { type CountryOf, countries } from '../geo/countries.ts';
import type { Missed, News, NewsPosition, NewsSince, OwnedNews } from '../registry/news.ts';
import type { RecordedChange } from '../registry/records.ts';
import { auditView, handshakeView } from './audit.ts';
import { badInput } from './contract/input.ts';
import type { EVENTS } from './views/events.ts';

/** The path of what is new on the control socket. */
export const NEWS_PATH = '/news';
/** Where the console is. */
export const CONSOLE_PATH = '/console';

/** Of each kind in one answer: at ten answers a second that is more than anybody reads. */
const MOST = 25;
const LOOK_MS = 100;
/** How long an answer may wait for something new; well below the deadline of a request. */
const HOLD_MS = 3_000;
const TIMEOUT_MS = 10_000;

/** Something that happened; `data` names what it happened to. */
export interface NewsEvent {
  readonly name: keyof typeof EVENTS;
  /** Whose it is: the number of an owner, or `HOST`. */
  readonly owner: number;
  readonly data: object;
}

/** What is new, to be asked for again from `position` on. */
export interface NewsView {
  readonly position: NewsPosition;
  readonly events: readonly NewsEvent[];
  /** Whose events are left out. */
  readonly missed: Missed;
}

/** Waits until something is new, three seconds at most; without a position it only says where things stand. */
export async function waitForNews(
  registry: News,
  since: NewsPosition | undefined,
  signal: AbortSignal = new AbortController().signal,
): Promise<NewsView> {
  if (since === undefined) return { position: await registry.newsPosition(), events: [], missed: [] };
  const end = Date.now() + HOLD_MS;
  for (;;) {
    const view = newsView(await registry.newsSince(since, MOST), await countries());
    if (view.events.length > 0 || view.missed.length > 0 || signal.aborted || Date.now() >= end) return view;
    await sleep(LOOK_MS);
  }
}

function newsView(
  { position, changes, handshakes, skipped, audit, missed }: NewsSince,
  countryOf: CountryOf,
): NewsView {
  const events: NewsEvent[] = [
    ...changes.map(changeEvent),
    ...handshakes.map((row, index) => ({
      name: 'handshake' as const,
      owner: row.owner,
      data: { ...handshakeView(row, countryOf), ...(index === 0 && skipped > 0 ? { skipped } : {}) },
    })),
    ...audit.map((entry) => ({ name: 'audit' as const, owner: entry.owner, data: auditView(entry) })),
  ];
  return { position, events, missed };
}

function changeEvent({ owner, ...change }: OwnedNews<RecordedChange>): NewsEvent {
  if (change.kind === 'device')
    return { name: 'device', owner, data: { address: formatIpv6(change.address) } };
  if (change.kind === 'group') return { name: 'group', owner, data: { gid: toHex(change.gid) } };
  if (change.kind === 'node') return { name: 'node', owner, data: { name: change.name } };
  return { name: 'network', owner, data: { prefix: formatPrefix(change.prefix) } };
}

/** An event as who sees only what is of one owner may hear of it: without what follows from others' entries. */
export function eventForOwner({ name, data }: Pick<NewsEvent, 'name' | 'data'>): object {
  if (name === 'audit') return { ...data, hash: null };
  const { skipped: _, ...rest } = data as { skipped?: number };
  return rest;
}

/** Where the console is that asks, in its query. */
export const CONSOLE = 'console';
/** Where browsers find the console of the fabric that listens on `socket`; undefined if none runs. */
export async function askConsole(socket: string): Promise<string | undefined> {
  try {
    const { url } = (await askControl(socket, { method: 'GET', path: CONSOLE_PATH })) as {
      url: string | null;
    };
    return url ?? undefined;
  } catch (error) {
    // Without a fabric, or with one of a version that does not know.
    if (isFailure(error)) return undefined;
    throw error;
  }
}

const KINDS = ['change', 'handshake', 'audit', 'tunnel'] as const;

/** The position in a query; undefined without one. @throws Failure `fabric.bad-input` */
export function parsePosition(query: URLSearchParams | undefined): NewsPosition | undefined {
  if (query === undefined || !KINDS.some((kind) => query.has(kind))) return undefined;
  const [change, handshake, audit, tunnel] = KINDS.map((kind) => {
    const text = query.get(kind) ?? '';
    if (!/^\d{1,15}$/.test(text)) throw badInput(kind, 'is no number');
    return Number(text);
  }) as [number, number, number, number];
  return { change, handshake, audit, tunnel };
}

/** Asks the fabric that listens on `socket` what is new, and tells it where the console is that asks; undefined if none answers. */
export async function askNews(
  socket: string,
  since: NewsPosition | undefined,
  console?: string,
): Promise<NewsView | undefined> {
  const query = new URLSearchParams(console === undefined ? {} : { [CONSOLE]: console });
  if (since !== undefined) for (const kind of KINDS) query.set(kind, String(since[kind]));
  const path = query.size === 0 ? NEWS_PATH : `${NEWS_PATH}?${query}`;
  try {
    return (await askControl(socket, { method: 'GET', path }, TIMEOUT_MS)) as NewsView;
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}
