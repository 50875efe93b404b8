import { XTT_OPENED, XTT_REFUSAL, type XttCookieKey, type XttFace } from '../native/xtt/xtt.ts';
import { concat, readU32, wipe } from '../protocol/bytes.ts';
import { checkSecret } from '../protocol/crypto/ecdsa.ts';
import type { Primitives } from '../protocol/crypto/primitives.ts';
import { notAuthentic, type SuiteSpec, weakShare } from '../protocol/crypto/suite.ts';
import { Failure, orFailure } from '../protocol/failure.ts';
import {
  badCookie,
  type CookieOptions,
  cookieKeys,
  expiredCookie,
  spentCookie,
} from '../protocol/xtt/cookie-keys.ts';
import {
  checkClearHeader,
  decodeIdentityClaim,
  FIELD_LENGTH,
  MESSAGE_LENGTH,
} from '../protocol/xtt/message.ts';
import { rootHint } from '../protocol/xtt/root-hint.ts';
import { badLongtermSignature } from '../protocol/xtt/server.ts';
import {
  type OpenedClaim,
  replaceable,
  type ServerKey,
  type StatelessServer,
} from '../protocol/xtt/stateless.ts';

const COOKIE_AT = 6;
const ANSWER_LENGTH = MESSAGE_LENGTH.serverInitAndAttest;

/** As `portableServer` of protocol/xtt/stateless.ts, byte for byte; the addon computes each message in one call, answers to several at once. */
export function nativeServer(
  native: XttFace,
  p: Pick<Primitives, 'random' | 'sha256'>,
  keys: readonly ServerKey[],
  options: CookieOptions = {},
): StatelessServer {
  const algorithms = native.xttAlgorithms();
  const cookies = cookieKeys(p, () => freshSecrets(native, p), options);
  const hold = (held: readonly ServerKey[]) => {
    for (const { key } of held) checkSecret(key);
    const hints = concat(...held.map(({ root }) => rootHint(p, root)));
    const secrets = concat(...held.map(({ key }) => key));
    try {
      return native.xttCredentials(hints, concat(...held.map(({ certificate }) => certificate)), secrets);
    } finally {
      wipe(secrets);
    }
  };
  const credentials = replaceable(hold(keys));

  function answerAll(nowMs: number, clientInits: readonly Uint8Array[]): (Uint8Array | Failure)[] {
    const tickets = clientInits.map((clientInit) =>
      orFailure(() => {
        checkClearHeader(clientInit, 'clientInit');
        return cookies.next(nowMs);
      }),
    );
    const taken = tickets.flatMap((ticket) => (ticket instanceof Failure ? [] : [ticket]));
    const [first] = taken;
    if (first === undefined) return tickets as Failure[];
    const numbers = Uint32Array.from(
      taken.flatMap(({ id, serial, salt, expiry }) => [id, serial, salt, expiry]),
    );
    const answers = native.xttAnswer(
      algorithms,
      // Of one time all tickets are of one key.
      first.secrets.key,
      credentials.current,
      new Uint8Array(numbers.buffer),
      concat(...clientInits.filter((_, i) => !(tickets[i] instanceof Failure))),
    );
    let end = 0;
    return tickets.map((ticket) => {
      if (ticket instanceof Failure) return ticket;
      end += ANSWER_LENGTH;
      const answer = answers.subarray(end - ANSWER_LENGTH, end);
      return answer[0] === 0 ? weakShare() : answer;
    });
  }

  return {
    sweep: (nowMs) => cookies.sweep(nowMs),
    replace: (nowMs, next) => credentials.replace(nowMs, hold(next)),

    answer(nowMs, clientInit) {
      const [answer] = answerAll(nowMs, [clientInit]);
      if (answer instanceof Failure) throw answer;
      return answer!;
    },
    answerAll,

    open(nowMs, clientAttest) {
      const suite = checkClearHeader(clientAttest, 'identityClientAttest');
      const { secrets, bornMs, spent } = cookies.find(nowMs, readU32(clientAttest, COOKIE_AT));
      const opened = native.xttOpen(
        algorithms,
        secrets.key,
        credentials.current,
        credentials.former(nowMs),
        nowMs - bornMs,
        spent,
        clientAttest,
      );
      if (typeof opened === 'number') throw refusal(opened, clientAttest, options);
      return claimOf(native, algorithms, suite, opened);
    },
  };
}

function claimOf(
  native: XttFace,
  algorithms: ReturnType<XttFace['xttAlgorithms']>,
  suite: SuiteSpec,
  opened: Uint8Array,
): OpenedClaim {
  const { gid, requestedIdentity, longtermPublicKey, daaSignature } = decodeIdentityClaim(opened);
  return {
    suite,
    gid,
    requestedIdentity,
    longtermPublicKey,
    daaSignature,
    pseudonym: daaSignature.subarray(-FIELD_LENGTH.pseudonym),
    daaMessage: opened.subarray(XTT_OPENED.daaMessage, XTT_OPENED.keys),
    assign: (identity) => native.xttFinish(algorithms, suite, opened, identity),
    forget: () => void opened.fill(0, XTT_OPENED.keys),
  };
}

/** Why the addon did not open this message. */
function refusal(code: number, clientAttest: Uint8Array, options: CookieOptions): unknown {
  if (code === XTT_REFUSAL.badCookie) return badCookie();
  if (code === XTT_REFUSAL.expiredCookie) return expiredCookie(options);
  if (code === XTT_REFUSAL.spentCookie) return spentCookie();
  if (code === XTT_REFUSAL.notAuthentic) return notAuthentic();
  if (code === XTT_REFUSAL.badLongtermSignature) return badLongtermSignature();
  // Says so: the suite of the message is another one.
  checkClearHeader(clientAttest, 'identityClientAttest', -code as SuiteSpec);
  return new Error(`the addon refused a message for no reason that is known: ${code}`);
}

/** Of cookies and the exchange of all handshakes under them. */
function freshSecrets(
  native: XttFace,
  p: Pick<Primitives, 'random'>,
): { readonly key: XttCookieKey; forget(): void } {
  const drawn = p.random(64);
  const key = native.xttCookieKey(drawn);
  wipe(drawn);
  return { key, forget: () => native.xttForgetKey(key) };
}
