import { createHash } from 'node:crypto';
import { Failure } from '../../protocol/failure.ts';

/** Entity tags (RFC 9110 §8.8.3): what a GET has answered, in short. A change may be bound to it, so that nobody changes what he has not seen. */

/** The tag of an answer, the JSON of a view, with its quotes. */
export function entityTag(json: string): string {
  const hash = createHash('sha256').update(json).digest('base64url');
  return `"${hash.slice(0, 22)}"`;
}

/** True if the header (If-Match, If-None-Match) names this tag, or any. */
export function names(header: string, tag: string): boolean {
  return header.split(',').some((each) => ['*', tag].includes(each.trim().replace(/^W\//, '')));
}

/** The operation that shows what a change of this path is about, and the field that names it; undefined: nothing that has a tag. */
export function shownBy(path: string): { readonly operation: string; readonly field: string } | undefined {
  return SHOWN.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
}

const SHOWN = [
  { prefix: '/devices/{address}', operation: 'device-show', field: 'address' },
  { prefix: '/groups/{gid}', operation: 'group-show', field: 'gid' },
] as const;

export const preconditionFailed = (): Failure =>
  new Failure('request.precondition-failed', 'operator', 'it is not any more as the ETag in If-Match says', {
    action: 'Nothing was changed. Get it again, look, and repeat the change with its new ETag.',
  });

export const noPrecondition = (): Failure =>
  new Failure('request.no-precondition', 'operator', 'this request takes no If-Match', {
    action: 'Leave it out: only changes of one device or one group can be bound to an ETag.',
  });
