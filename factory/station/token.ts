import { primitives } from '../../crypto/primitives.ts';
import { secretsEqual } from '../../crypto/secrets.ts';
import { writeDurable } from '../../os/files/durable.ts';
import { withLock } from '../../os/files/lock.ts';
import { readBounded, versionIfThere } from '../../os/files/read.ts';
import { fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';
import { counted } from '../../protocol/words.ts';
import { MOST_COUNTED, withJournal } from '../batch/journal.ts';
import { GROUP_FILE, type Group } from '../group/group.ts';

/**
 * A token lets so many boards ask a batch's station for credentials, until it expires. Its text is a line:
 *
 *     enf-token-1.<first 16 digits of the GID>.<number, 8 hex digits>.<secret, 64 hex digits>
 *
 * Of the secret the station keeps the SHA-256.
 */
export interface Token {
  /** 8 hex digits. */
  readonly id: string;
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  /** Boards. */
  readonly count: number;
  /** ISO 8601, UTC. */
  readonly expires: string;
}

const TEXT = /^enf-token-1\.([0-9a-f]{16})\.([0-9a-f]{8})\.([0-9a-f]{64})$/;
/** In the list at a time. */
const MOST_TOKENS = 128;
const WAIT_MS = 10_000;
const MAX_FILE = 65_536;

/** Makes a token; its text is nowhere else. @throws Failure `factory.too-many-tokens`, those of the journal and of files */
export async function createToken(
  group: Group,
  count: number,
  expires: Date,
): Promise<{ readonly token: Token; readonly text: string }> {
  const secret = primitives.random(32);
  const [id, hash] = [toHex(primitives.random(4)), toHex(primitives.sha256(secret))];
  const token = { id, hash, count, expires: expires.toISOString() };
  const { tokens: counted } = await withJournal(group, async ({ tally }) => tally);
  if (Object.keys(counted).length >= MOST_COUNTED) throw tooMany(`the batch has had ${MOST_COUNTED} tokens`);
  await change(group, (tokens) => {
    // The list says of those that are over as long as there is room.
    const over = tokens.find((each) => Date.parse(each.expires) <= Date.now());
    if (tokens.length < MOST_TOKENS) return [...tokens, token];
    if (over !== undefined) return [...tokens.filter((each) => each !== over), token];
    throw tooMany(`the batch has ${MOST_TOKENS} tokens that are good`);
  });
  return { token, text: `enf-token-1.${group.gid.slice(0, 16)}.${id}.${toHex(secret)}` };
}

/** Ends a token before its time. @throws Failure `factory.no-such-token`, those of files */
export function revokeToken(group: Group, id: string): Promise<void> {
  return change(group, (tokens) => {
    const token = tokens.find((each) => each.id === id);
    if (token !== undefined)
      return tokens.with(tokens.indexOf(token), { ...token, expires: new Date(0).toISOString() });
    throw new Failure('factory.no-such-token', 'operator', `the batch has no token ${id}`, {
      action: '"enf-factory station token" without --count lists them.',
    });
  });
}

/**
 * The token that this text is. @throws Failure `factory.token-refused`, `factory.token-foreign`, `factory.token-expired`
 */
export async function checkToken(group: Group, text: string, now: Date): Promise<Token> {
  const match = TEXT.exec(text);
  if (match === null) throw refused();
  const [, batch, id, secret] = match;
  if (batch !== group.gid.slice(0, 16)) {
    throw new Failure(
      'factory.token-foreign',
      'operator',
      'the token is for another batch than the station makes',
      {
        action: 'Give the board a token of this batch: "enf-factory station token".',
      },
    );
  }
  const token = (await readTokens(group)).find((each) => each.id === id);
  if (token === undefined || !secretsEqual(fromHex(token.hash), primitives.sha256(fromHex(secret!))))
    throw refused();
  return requireCurrent(token, now);
}

/** That a token which was good is so still. @throws Failure `factory.token-refused`, `factory.token-expired` */
export async function requireListed(group: Group, id: string, now: Date): Promise<void> {
  const token = (await readTokens(group)).find((each) => each.id === id);
  if (token === undefined) throw refused();
  requireCurrent(token, now);
}

function requireCurrent(token: Token, now: Date): Token {
  if (Date.parse(token.expires) > now.getTime()) return token;
  throw new Failure(
    'factory.token-expired',
    'operator',
    `the token ${token.id} has expired, or was revoked`,
    {
      action: 'Give the board a new token: "enf-factory station token".',
    },
  );
}

/** How many boards a token has left; none where the journal cannot count it. `used`: credentials by token. */
export function leftOf({ id, count }: Token, used: Readonly<Record<string, number>>): number {
  if (!(id in used) && Object.keys(used).length >= MOST_COUNTED) return 0;
  return Math.max(0, count - (used[id] ?? 0));
}

/** @throws Failure `factory.token-used` if the token has no board left */
export function requireLeft(token: Token, used: Readonly<Record<string, number>>): void {
  if (leftOf(token, used) > 0) return;
  throw new Failure(
    'factory.token-used',
    'operator',
    `the token ${token.id} is used up: it was for ${counted(token.count, 'board')}`,
    {
      action: 'Give the board a new token: "enf-factory station token".',
    },
  );
}

/** The list of a group that was read last: a station asks for it twice for each board. */
let lastRead:
  | { readonly path: string; readonly version: string; readonly tokens: readonly Token[] }
  | undefined;

/** @throws Failure those of reading files, `factory.bad-tokens` */
export async function readTokens(group: Group): Promise<readonly Token[]> {
  const path = `${group.folder}/${GROUP_FILE.tokens}`;
  const version = await versionIfThere(path, 'tokens');
  if (version === undefined) return [];
  if (lastRead?.path === path && lastRead.version === version) return lastRead.tokens;
  const tokens = parseTokens(path, await readBounded(path, 'tokens', MAX_FILE));
  // What was written between the two has another version.
  lastRead = { path, version, tokens };
  return tokens;
}

function parseTokens(path: string, bytes: Uint8Array): readonly Token[] {
  try {
    const tokens = JSON.parse(decodeUtf8(bytes) ?? '') as Token[];
    if (tokens.every(({ id, hash, count, expires }) => isToken(id, hash, count, expires))) return tokens;
  } catch {
    // Reported below.
  }
  throw new Failure('factory.bad-tokens', 'operator', `${path} holds no tokens`, {
    action: 'Remove the file, and make new tokens.',
  });
}

const isToken = (id: unknown, hash: unknown, count: unknown, expires: unknown): boolean =>
  /^[0-9a-f]{8}$/.test(String(id)) &&
  /^[0-9a-f]{64}$/.test(String(hash)) &&
  Number.isSafeInteger(count) &&
  !Number.isNaN(Date.parse(String(expires)));

async function change(group: Group, work: (tokens: readonly Token[]) => readonly Token[]): Promise<void> {
  const path = `${group.folder}/${GROUP_FILE.tokens}`;
  const done = await withLock(path, WAIT_MS, async () => {
    await writeDurable(path, encodeUtf8(`${JSON.stringify(work(await readTokens(group)), null, 2)}\n`));
  });
  if (done === undefined) throw new Error(`${path} stays locked`);
}

function tooMany(what: string): Failure {
  return new Failure('factory.too-many-tokens', 'operator', what, {
    action: 'Use one token for more boards.',
  });
}

function refused(): Failure {
  return new Failure('factory.token-refused', 'operator', 'the station does not know this token', {
    action: 'Give the board the file that "enf-factory station token" has written.',
  });
}
