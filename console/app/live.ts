import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { account } from '../api/account.ts';
import { eventsAddress } from '../api/http.ts';
import { me } from './session.ts';

/** What the fabric tells of; `reset`: too much was missed, ask anew. */
export const KINDS = ['device', 'group', 'network', 'node', 'handshake', 'audit', 'reset'] as const;
export type Kind = (typeof KINDS)[number];

/** Is what the pages show up to date? `since`: milliseconds since 1970, of the last change of that. */
export const live = signal<{ readonly on: boolean; readonly since: number }>({
  on: false,
  since: Date.now(),
});

type Listener = (data: unknown) => void;
const listeners = new Map<Kind, Set<Listener>>(KINDS.map((kind) => [kind, new Set()]));

const AGAIN_MS = 3_000;

effect(() => {
  if (!me.value) return;
  let source = open();
  const timer = setInterval(() => {
    // A browser tries again by itself until it is refused, e.g. because the session is over: asking who one is tells.
    if (source.readyState !== EventSource.CLOSED) return;
    source = open();
    void account.me().catch(() => {});
  }, AGAIN_MS);
  return () => {
    clearInterval(timer);
    source.close();
  };
});

function open(): EventSource {
  const source = new EventSource(eventsAddress());
  source.onopen = () => {
    // What happened while there was no stream is not known to the pages.
    if (!live.peek().on) tell('reset', {});
    live.value = { on: true, since: Date.now() };
  };
  source.onerror = () => {
    if (live.peek().on) live.value = { on: false, since: Date.now() };
  };
  for (const kind of KINDS)
    source.addEventListener(kind, (event) => tell(kind, JSON.parse((event as MessageEvent<string>).data)));
  return source;
}

function tell(kind: Kind, data: unknown): void {
  for (const listener of listeners.get(kind)!) listener(data);
}

/** Calls `listener` for every event of a kind. Returns a function that ends that. */
export function listen(kind: Kind, listener: Listener): () => void {
  listeners.get(kind)!.add(listener);
  return () => listeners.get(kind)!.delete(listener);
}

/** Events that come together are one reason to ask again. */
const TOGETHER_MS = 100;
/** While events keep coming: several questions of one page stay far below what the API allows to a session. */
const BETWEEN_MS = 1_000;

/** Calls `ask` when something of these kinds has happened, once for all that come together, and after a time without a stream. */
export function useLive(kinds: readonly Kind[], ask: () => void): void {
  const newest = useRef(ask);
  newest.current = ask;
  useEffect(() => {
    let timer: number | undefined;
    let asked = 0;
    const soon = (): void => {
      const wait = Math.max(TOGETHER_MS, asked + BETWEEN_MS - Date.now());
      timer ??= setTimeout(() => {
        timer = undefined;
        asked = Date.now();
        newest.current();
      }, wait) as unknown as number;
    };
    const ends = [...new Set<Kind>([...kinds, 'reset'])].map((kind) => listen(kind, soon));
    return () => {
      clearTimeout(timer);
      for (const end of ends) end();
    };
  }, [kinds.join()]);
}
