import type { TSchema } from 'typebox';
import { Failure } from '../../../protocol/failure.ts';
import type { Prefix } from '../../../protocol/ipv6.ts';
import type { Role } from '../../access/roles.ts';
import type { Scope } from '../../access/scope.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import type { AuthorityKeeper } from '../../pki/keeper.ts';
import type { Page, PageRequest } from '../../registry/pages.ts';
import type { Learned } from '../../registry/records.ts';
import type { OwnedReader, OwnedRegistry, Registry, RegistryReader } from '../../registry/registry.ts';
import { ownTurn } from '../../registry/turns.ts';
import { checker, objectOf, optional, text, whole } from './input.ts';

/** Who asks for an operation from outside, in what role, and of what it sees and changes something. */
export interface Actor {
  /** As it stands in the audit trail. */
  readonly name: string;
  readonly role: Role;
  readonly scope: Scope;
  /** The name of the owner for whom it acts; absent: for all. */
  readonly owner?: string;
  /** By what it is known; an operator may open the control socket. */
  readonly via: 'operator' | 'token' | 'session';
  /** The person who has signed in, and its name. */
  readonly person?: number;
  readonly personName?: string;
  /** When the person has last shown that it is there; milliseconds since 1970. */
  readonly proved?: number;
  /** The person to whom it belongs: who has signed in, or who made the token. */
  readonly belongsTo?: number;
}

/** What an operation works on that only reads. */
export interface ReadContext {
  /** What the caller sees. */
  readonly registry: OwnedReader;
  /** The whole registry; absent for who does not see everything. */
  readonly whole?: RegistryReader;
  readonly running: Pick<Running, 'presence' | 'ruleCounts' | 'limited'>;
  /** Rows that one call reads at most, whatever it is asked for: what stops the event loop no longer than others can wait. */
  readonly mostRows?: number;
}

/** What an operation works on, and who asked for it. */
export interface Context extends ReadContext {
  readonly registry: OwnedRegistry;
  readonly whole?: Registry;
  readonly running: Running;
  /** The fabric's keys and certificates; absent beside a registry alone, as in tests. */
  readonly keys?: () => Promise<AuthorityKeeper>;
  /** What goes on by itself; absent as `keys` is. */
  readonly jobs?: Jobs;
  /** Recorded in the audit trail: the user at the command line, or whoever a session or token stands for. */
  readonly actor: string;
  /** Of whoever asks from outside; undefined: the operator of the host. */
  readonly role?: Role;
  /** The person who asks, by its session or a token of it. */
  readonly person?: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** For what concerns all owners. @throws Failure `access.not-whole` */
export function wholeOf<Whole>({ whole }: { readonly whole?: Whole }): Whole {
  if (whole !== undefined) return whole;
  throw new Failure('access.not-whole', 'operator', 'this concerns all owners of the fabric', {
    action: 'Ask whoever runs the fabric.',
  });
}

/** The fabric that serves the registry: this process, another, or none. */
export interface Running {
  /** Makes a change known to it. Returns the effect as a phrase for a person, e.g. `in force`. */
  notify(): Promise<string>;
  /** Tells what is known of these devices (16 bytes each); undefined: no fabric is serving, so nobody knows. */
  presence(addresses: readonly Uint8Array[]): Promise<Presence | undefined>;
  /** What the rules of a network have decided on, by their numbers; undefined: no fabric is serving. */
  ruleCounts?(network: Prefix): Promise<ReadonlyMap<number, RuleCount> | undefined>;
  /** How many packets of the device at this address (16 bytes) its rate limits have dropped; undefined: it has no tunnel, or no fabric is serving. */
  limited?(address: Uint8Array): Promise<number | undefined>;
  /** How many devices with a tunnel know of the newest roots; undefined: no fabric is serving. */
  learned?(): Promise<Learned | undefined>;
}

/** Packets that a rule has decided on, and their bytes. */
export interface RuleCount {
  readonly packets: number;
  readonly bytes: number;
}

/** Whether a device has a tunnel, and since when (milliseconds since 1970) it does not answer any more. */
export interface Contact {
  readonly online: boolean;
  readonly silentSince?: number;
}

/** What is known of the device with this address (16 bytes). */
export type Presence = (address: Uint8Array) => Contact;

/** The outcome of a change: what is so now, and whether the running fabric has acted on it. */
export interface Changed<View> {
  readonly view: View;
  readonly effect: string;
}

/** The outcome of an operation, whoever called it. `asOf`: a replica has answered, which has everything that was committed by then (RFC 3339). */
export interface Performed {
  readonly view: unknown;
  readonly asOf?: string;
}

/**
 * Something that an owner can do, without terminal and HTTP: input and view are plain JSON, so that a command line, a
 * control socket and an API run the same function and show the same view.
 */
export interface Operation<Input, View, Needs = Context> {
  /** The last part of its path on the control socket. */
  readonly name: string;
  /** The JSON schema of the input. */
  readonly input: TSchema;
  /** @throws Failure `fabric.bad-input` for an input of another shape, and those of the operation */
  run(context: Needs, input: Input): Promise<View>;
}

/** An operation that changes nothing. */
export type ReadOperation<Input, View> = Operation<Input, View, ReadContext>;

/** An operation whose input is checked against its schema before it runs, whoever calls it. */
export function operation<Input extends object, View, Needs = Context>(
  name: string,
  shape: { readonly [K in keyof Input]-?: TSchema },
  run: (context: Needs, input: Input) => Promise<View>,
): Operation<Input, View, Needs> {
  const schema = objectOf(shape);
  const check = checker(schema);
  return { name, input: schema, run: async (context, input) => run(context, check(input) as Input) };
}

/** Rows that one call returns at most: an answer stays far below the largest one of the control socket. */
export const MOST_ROWS = 1_000;
const LONGEST_CURSOR = 200;

/** A page of a list as input. */
export interface PageInput {
  readonly limit: number;
  readonly after?: string | undefined;
}

const PAGE_FIELDS = { limit: whole(1, MOST_ROWS), after: optional(text(LONGEST_CURSOR)) };

/** Reads a page of a list, narrowed as the other fields of the input ask. */
type ReadPage<Row, Filter> = (
  registry: OwnedReader,
  page: PageRequest,
  filter: Filter,
  context: ReadContext,
) => Promise<Page<Row>>;

/** An operation that reads a page of a list; `viewer` makes the view of a row, once it has seen all of them. */
export function listOperation<Row, View>(
  name: string,
  read: ReadPage<Row, unknown>,
  viewer: (context: ReadContext, rows: readonly Row[]) => ((row: Row) => View) | Promise<(row: Row) => View>,
): ReadOperation<PageInput, Page<View>> {
  return filteredList<Row, View, Record<never, never>>(name, {}, read, viewer);
}

/** A list that can be narrowed: `shape` are the fields for that, each optional. */
export function filteredList<Row, View, Filter extends object>(
  name: string,
  shape: { readonly [K in keyof Filter]-?: TSchema },
  read: ReadPage<Row, Filter>,
  viewer: (context: ReadContext, rows: readonly Row[]) => ((row: Row) => View) | Promise<(row: Row) => View>,
): ReadOperation<PageInput & Filter, Page<View>> {
  const fields = { ...PAGE_FIELDS, ...shape } as { readonly [K in keyof (PageInput & Filter)]-?: TSchema };
  return operation<PageInput & Filter, Page<View>, ReadContext>(name, fields, async (context, input) => {
    const { limit, after, ...filter } = input;
    const most = Math.min(limit, context.mostRows ?? MOST_ROWS);
    const { rows, next } = await filledPage(
      (page) => read(context.registry, page, filter as unknown as Filter, context),
      most,
      after,
    );
    return { rows: await viewsOf(rows, await viewer(context, rows)), next };
  });
}

/** How often a page of a narrowed list is looked for before it is returned as it is. */
const MOST_READS = 4;

/** A page with as many rows as asked for, if a bounded number of reads, each in a turn of its own, finds them. */
async function filledPage<Row>(
  read: (page: PageRequest) => Promise<Page<Row>>,
  limit: number,
  after: string | undefined,
): Promise<Page<Row>> {
  let { rows, next } = await read({ limit, after });
  for (let reads = 1; rows.length < limit && next !== undefined && reads < MOST_READS; reads++) {
    await ownTurn();
    const more = await read({ limit: limit - rows.length, after: next });
    rows = [...rows, ...more.rows];
    next = more.next;
  }
  return { rows, next };
}

/** Views that are made in one turn of the event loop: some milliseconds, even the first time. */
const VIEWED_AT_ONCE = 50;

async function viewsOf<Row, View>(rows: readonly Row[], view: (row: Row) => View): Promise<View[]> {
  const views: View[] = [];
  for (let first = 0; first < rows.length; first += VIEWED_AT_ONCE) {
    await ownTurn();
    for (const row of rows.slice(first, first + VIEWED_AT_ONCE)) views.push(view(row));
  }
  return views;
}

const DAY_MS = 86_400_000;
/** The date of the last time that was shown: a list has many times and few dates. */
let shown = { day: Number.NaN, date: '' };

/** A time as views show it: as `Date` does, in half the time. */
export function isoTime(at: number): string {
  const day = Math.floor(at / DAY_MS);
  if (day !== shown.day) shown = { day, date: new Date(day * DAY_MS).toISOString().slice(0, -13) };
  const ms = at - day * DAY_MS;
  const [hour, minute, second] = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1_000) % 60];
  return `${shown.date}${digits(hour, 2)}:${digits(minute, 2)}:${digits(second, 2)}.${digits(ms % 1_000, 3)}Z`;
}

function digits(value: number, count: number): string {
  return String(Math.floor(value)).padStart(count, '0');
}
