import { isFailure } from '../../protocol/failure.ts';
import { type SerializedFailure, serializeFailure } from '../../protocol/failure-message.ts';

/** A failure as the API answers it (RFC 9457, application/problem+json). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly remedy: string;
  /** What to do. */
  readonly detail?: string | undefined;
}

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
  'access.not-invited': 403,
  'access.unverified-email': 403,
  'access.fresh-sign-in': 403,
  'access.too-many-attempts': 429,
  'bulk.changed': 409,
  'jobs.unknown': 404,
  'jobs.too-many': 429,
  'request.precondition-failed': 412,
  'request.key-reused': 422,
  'request.not-found': 404,
  'request.too-large': 413,
  'request.bad-type': 415,
  'request.too-many': 429,
  'request.too-many-streams': 503,
  'fabric.ambiguous-group': 409,
  'fabric.ambiguous-network': 409,
  'fabric.last-owner': 409,
  'fabric.no-answer': 503,
  'fabric.not-serving': 503,
};

const STATUS_BY_PATTERN: readonly (readonly [pattern: RegExp, status: number])[] = [
  [/^fabric\.unknown-/, 404],
  [/-exists$|^roots\.(?:too-many|newest|not-in-force|not-learned)$/, 409],
  [/^(?:request|label|ipv6|bytes|ecdaa)\.|^fabric\.bad-|^access\.(?:bad-name|weak-password)$/, 400],
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
    detail: action,
  };
}
