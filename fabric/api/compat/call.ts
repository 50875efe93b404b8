import { Failure } from '../../../protocol/failure.ts';
import { DEFAULT_OWNER } from '../../access/scope.ts';
import type { Seen } from '../../account/own.ts';
import type { InputOf, OperationName, ViewOf } from '../../operations/all.ts';
import type { Page } from '../../registry/pages.ts';
import type { Caller } from '../options.ts';

/** A request of an existing client, whose body was checked. */
export interface Call {
  readonly caller: Caller;
  /** What is in the path. */
  readonly params: Readonly<Record<string, string>>;
  /** The fields of the body that are set; what is no object is `bare`. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly bare: unknown;
  /** Of the peer. */
  readonly source: string;
  /** Runs an operation for the caller. @throws Failure of the operation */
  run<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<ViewOf<Name>>;
  /** The same for what is an account's. */
  account<View>(name: string, input: object): Promise<View>;
  /** The same call for an owner, by its name. */
  as(owner: string): Call;
}

/** Whoever asks. */
export const seenBy = (call: Call): Promise<Seen> => call.account<Seen>('seen', {});

/** The number by which the domains of whoever asks are known. */
export const domainId = ({ owner }: Seen): number => owner ?? DEFAULT_OWNER;

/** Rows of a list, which these clients read as one. */
const MOST = 1_000;
const AT_ONCE = 200;

/** All rows of a list. @throws Failure `compat.too-long` */
export async function allOf<Row>(
  read: (page: { limit: number; after?: string | undefined }) => Promise<Page<Row>>,
): Promise<readonly Row[]> {
  const all: Row[] = [];
  let after: string | undefined;
  do {
    const page = await read({ limit: AT_ONCE, after });
    all.push(...page.rows);
    requireShort(all);
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** The same rows. @throws Failure `compat.too-long` */
export function requireShort<Row>(rows: readonly Row[]): readonly Row[] {
  if (rows.length > MOST) throw tooLong();
  return rows;
}

const tooLong = (): Failure =>
  new Failure(
    'compat.too-long',
    'operator',
    `the list has more than ${MOST} rows, and this API has no pages`,
    {
      action: 'Read it by the API of the fabric (docs/fabric-api.md).',
    },
  );

/** What the fabric does not do, or not as the client asks: it answers so instead of seeming to. */
export const unsupported = (what: string, instead: string): Failure =>
  new Failure('compat.unsupported', 'operator', what, { action: instead });
