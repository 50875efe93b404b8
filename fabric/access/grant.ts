import { Failure } from '../../protocol/failure.ts';
import { mayGive, type Role } from './roles.ts';

/**
 * Nobody gives or takes a role that may more than the own one; the operator of the host, who has none, may all.
 * @throws Failure `access.forbidden`
 */
export function requireGrantable(actor: string, own: Role | undefined, role: Role): void {
  if (own === undefined) return;
  if (mayGive(own, role)) return;
  throw new Failure('access.forbidden', 'operator', `${actor} is ${own}, which may less than ${role}`, {
    action: `Ask somebody who is ${role}, or the operator of the host.`,
  });
}
