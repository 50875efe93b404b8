import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { HOST } from '../access/scope.ts';
import type { Seen } from '../account/own.ts';
import { eventForOwner } from '../operations/news.ts';
import { type Callers, callerKey } from './callers.ts';
import { type Feed, type FeedEvent, isFor } from './feed.ts';
import { type ApiOptions, ask, type Caller } from './options.ts';

const MOST = 200;
/** Of one owner, if there are several. */
const MOST_OF_OWNER = 50;
/** Of one token or session. */
const MOST_OF_ONE = 10;
const HEARTBEAT_MS = 15_000;
/** Bytes that a reader may leave unread. */
const MOST_UNREAD = 65_536;

interface Stream {
  readonly request: FastifyRequest;
  readonly caller: Caller;
  readonly key: string;
  readonly permissions: ReadonlySet<string>;
  /** The number of the only owner whose events it gets; null: it gets all. */
  readonly owner: number | null;
  readonly host: boolean;
  readonly response: ServerResponse;
}

/** What happens, as server-sent events, for each caller what it may see. */
export interface Streams {
  /** Answers a request with a stream, as long as its caller holds and it reads. @throws Failure `request.too-many-streams`, and those of `me` */
  begin(request: FastifyRequest, reply: FastifyReply, caller: Caller): Promise<void>;
}

export function streams(app: FastifyInstance, options: ApiOptions, callers: Callers, feed: Feed): Streams {
  const open = new Set<Stream>();

  function send(stream: Stream, text: string): void {
    stream.response.write(text);
    if (stream.response.writableLength > MOST_UNREAD) stream.response.destroy();
  }

  /** Ends the streams whose token or session holds no longer. */
  async function check(): Promise<void> {
    const verdicts = new Map<string, Promise<boolean>>();
    for (const stream of [...open]) {
      const { request, caller, owner } = stream;
      const key = JSON.stringify([stream.key, caller.owner, owner]);
      if (!verdicts.has(key)) verdicts.set(key, callers.holds(request) ? holds(options, caller, owner) : NO);
      if (!(await verdicts.get(key))) stream.response.end();
    }
  }

  const unsubscribe = feed.subscribe((events) => {
    // Who was the only owner sees less from now on: the browser asks anew.
    if (events.some(changesOwners))
      for (const { host, owner, response } of open)
        if (!host && owner === null) response.end(textOf(events.filter(({ name }) => name === 'reset')));
    for (const stream of open) {
      if (stream.response.writableEnded) continue;
      const text = textOf(visible(stream, events));
      if (text !== '') send(stream, text);
    }
    if (events.some(mayEndSessions)) void check();
  });
  callers.onLeave(() => void check());
  const heartbeat = setInterval(() => {
    for (const stream of open) send(stream, ': \n\n');
    void check();
  }, HEARTBEAT_MS);

  app.addHook('preClose', async () => {
    clearInterval(heartbeat);
    unsubscribe();
    for (const { response } of open) response.end();
  });

  return {
    async begin(request, reply, caller) {
      const key = callerKey(callers, request, caller);
      const { permissions, owner, host } = await ask<Seen>(options, 'seen', caller, {});
      const count = (which: (stream: Stream) => boolean): number => [...open].filter(which).length;
      if (
        open.size >= MOST ||
        count((stream) => stream.key === key) >= MOST_OF_ONE ||
        (owner !== null && count((stream) => stream.owner === owner) >= MOST_OF_OWNER)
      )
        throw tooManyStreams();
      const { raw: response } = reply;
      const stream = { request, caller, key, permissions: new Set(permissions), owner, host, response };
      sendHead(reply);
      if (response.destroyed) return;
      open.add(stream);
      response.once('close', () => open.delete(stream));
      send(stream, `${missedBy(stream, feed)}id: ${feed.mark()}\n\n`);
      // It may see less since it was asked about, and what tells of that may have passed before the stream was open.
      if (!(await holds(options, caller, owner))) response.end();
    },
  };
}

const NO = Promise.resolve(false);

/** Does the caller still see what it saw? If the fabric does not answer, nothing has changed. */
async function holds(options: ApiOptions, caller: Caller, owner: number | null): Promise<boolean> {
  try {
    return (await ask<Seen>(options, 'seen', caller, {})).owner === owner;
  } catch (error) {
    return !isFailure(error) || !(error.area === 'access' || error.code === 'fabric.unknown-owner');
  }
}

/** What is written into the audit trail when sessions or tokens end. */
function mayEndSessions({ name, data }: FeedEvent): boolean {
  if (name === 'reset') return true;
  const { action } = data as { action?: string };
  return name === 'audit' && /^(?:person\.|token\.revoke|owner\.)/.test(action ?? '');
}

function sendHead(reply: FastifyReply): void {
  reply.hijack();
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
}

/** What was left out may have been such an entry. */
const changesOwners = ({ name, data, owner }: FeedEvent): boolean =>
  name === 'reset'
    ? owner === undefined || owner === HOST
    : name === 'audit' && ((data as { action?: string }).action ?? '').startsWith('owner.');

function visible({ permissions, owner }: Stream, events: readonly FeedEvent[]): readonly FeedEvent[] {
  const seen = events.filter(
    (event) => isFor(event, owner) && (event.permission === undefined || permissions.has(event.permission)),
  );
  const reset = seen.findLast(({ name }) => name === 'reset');
  return seen
    .filter((event) => event.name !== 'reset' || event === reset)
    .map((event) =>
      owner === null || event.name === 'reset'
        ? event
        : { ...event, data: eventForOwner({ ...event, name: event.name }) },
    );
}

/** Only the last of those that have one number says it: a connection that breaks before it gets all of them again. */
const textOf = (events: readonly FeedEvent[]): string =>
  events
    .map(({ id, name, data }, i) => {
      const number = events[i + 1]?.id === id ? '' : `id: ${id}\n`;
      return `${number}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    })
    .join('');

/** What a browser that was away has not seen, unless that is too much to send at once. */
function missedBy(stream: Stream, feed: Feed): string {
  const last = lastEventId(stream.request);
  if (last === undefined) return '';
  const events = feed.since(last, stream.owner);
  const text = events === undefined ? undefined : textOf(visible(stream, events));
  if (text !== undefined && text.length < MOST_UNREAD / 2) return text;
  return textOf([{ id: feed.mark(), name: 'reset', data: {} }]);
}

/** Any other text is no number of ours, and stands for events that are not kept. */
function lastEventId({ headers }: FastifyRequest): number | undefined {
  const text = headers['last-event-id'];
  if (text === undefined || text === '') return undefined;
  return /^\d{1,15}$/.test(String(text)) ? Number(text) : -1;
}

const tooManyStreams = (): Failure =>
  new Failure('request.too-many-streams', 'retry', 'too many streams of events are open', {
    action: `Close other windows of the console: ${MOST_OF_ONE} for each token or session, ${MOST_OF_OWNER} for each of several owners, ${MOST} in all.`,
  });
