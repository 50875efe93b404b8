import Type from 'typebox';
import { isFailure } from '../../protocol/failure.ts';
import { type SerializedFailure, serializeFailure } from '../../protocol/failure-message.ts';
import { optional } from '../operations/contract/input.ts';
import { named, type Shown, wordOf, words } from '../operations/contract/output.ts';

/** A failure as the API answers it (RFC 9457, application/problem+json). */
export const Problem = named('Problem', 'A failure (RFC 9457); docs/errors.md lists the codes.', {
  type: words('An URN of the code.', 'urn:enf:failure:fabric.unknown-device'),
  title: words('What was wrong.'),
  status: Type.Integer({ description: 'The status of the answer.', examples: [404] }),
  code: words('Dotted and stable.', 'fabric.unknown-device'),
  remedy: wordOf(
    ['retry', 'reprovision', 'operator'],
    'Who can mend it: `retry` whoever asks, by asking again later; `operator` a person.',
  ),
  detail: optional(words('What to do.')),
});
export type Problem = Shown<typeof Problem>;

export const PROBLEM_TYPE = 'application/problem+json';

/** By code; else by the code's beginning; else by the remedy. */
const STATUS: Readonly<Record<string, number>> = {
  'access.bad-account': 401,
  'access.bad-token': 401,
  'access.bad-passkey': 401,
  'access.not-signed-in': 401,
  'access.wrong-password': 401,
  'access.bad-invite': 403,
  'access.cross-site': 403,
  'access.forbidden': 403,
  'access.no-owner': 403,
  'access.not-whole': 403,
  'access.not-invited': 403,
  'access.unverified-email': 403,
  'access.fresh-sign-in': 403,
  'access.too-many-attempts': 429,
  'bulk.changed': 409,
  'compat.unknown-domain': 404,
  'compat.unsupported': 501,
  'fabric.address-taken': 409,
  'jobs.unknown': 404,
  'node.unknown': 404,
  'node.serving': 409,
  'jobs.too-many': 429,
  'registry.diverged': 503,
  'request.precondition-failed': 412,
  'request.key-reused': 422,
  'request.not-found': 404,
  'request.too-large': 413,
  'request.bad-type': 415,
  'request.bad-expectation': 417,
  'request.headers-too-large': 431,
  'request.stopping': 503,
  'request.too-slow': 408,
  'request.too-many': 429,
  'request.too-many-exports': 503,
  'request.too-many-streams': 503,
  'fabric.ambiguous-device': 409,
  'fabric.ambiguous-group': 409,
  'fabric.ambiguous-network': 409,
  'fabric.default-owner': 409,
  'fabric.group-claimed': 409,
  'fabric.last-owner': 409,
  'fabric.no-pool': 409,
  'fabric.pool-full': 409,
  'fabric.pool-in-use': 409,
  'fabric.no-answer': 503,
  'fabric.not-serving': 503,
  'fabric.owner-not-idle': 409,
  'fabric.prefix-in-use': 409,
  'fabric.several-owners': 409,
};

const STATUS_BY_PATTERN: readonly (readonly [pattern: RegExp, status: number])[] = [
  [/^(?:fabric|pki)\.unknown-/, 404],
  [/-exists$|^roots\.(?:too-many|newest|not-in-force|not-learned)$|^pki\.too-many-/, 409],
  [/^(?:request|label|ipv6|bytes|ecdaa)\.|^(?:fabric|pki)\.bad-|^access\.(?:bad-name|weak-password)$/, 400],
];

/** The status of a failure. */
export function statusOf({ code, remedy }: Pick<SerializedFailure, 'code' | 'remedy'>): number {
  const known = STATUS[code] ?? STATUS_BY_PATTERN.find(([pattern]) => pattern.test(code))?.[1];
  return known ?? (remedy === 'retry' ? 503 : 422);
}

/** Any error as a problem; one that is no Failure says nothing of itself: it is in the log. */
export function problemOf(error: unknown): Problem {
  if (!isFailure(error)) {
    return {
      type: 'about:blank',
      title: 'internal error',
      status: 500,
      code: 'internal',
      remedy: 'retry',
      detail: "See the log of the fabric's console.",
    };
  }
  const { code, remedy, message, action } = serializeFailure(error);
  return {
    type: `urn:enf:failure:${code}`,
    title: message,
    status: statusOf(error),
    code,
    remedy,
    ...(action !== undefined && { detail: action }),
  };
}
