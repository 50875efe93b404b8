import { requireGrantable } from '../../access/grant.ts';
import { ROLES, type Role } from '../../access/roles.ts';
import { issueSecret } from '../../access/secrets.ts';
import type { Token } from '../../registry/tokens.ts';
import { oneOf, text, whole } from '../contract/input.ts';
import { isoTime, listOperation, operation } from '../contract/operation.ts';
import type { NewTokenView, RevokedView, TokenView } from '../views/people.ts';

const DAY_MS = 86_400_000;
const MOST_DAYS = 366;

/** Makes a token of the API; `token` is its text, which nobody can read again. @throws Failure `access.forbidden` */
export const createToken = operation<{ name: string; role: Role; days: number }, NewTokenView>(
  'token-create',
  { name: text(60), role: oneOf(...ROLES), days: whole(1, MOST_DAYS) },
  async ({ registry, actor, role: own, person, now }, { name, role, days }) => {
    requireGrantable(actor, own, role);
    const { text: token, hash } = issueSecret('token');
    const expires = now() + days * DAY_MS;
    const added = await registry.addToken(actor, {
      ...{ name, role, hash, expires },
      ...(person !== undefined && { person }),
    });
    return { ...tokenView(added), token };
  },
);

/** A page of tokens, oldest first. */
export const listTokens = listOperation(
  'token-list',
  (registry, page) => registry.tokens(page),
  () => tokenView,
);

/** Revokes a token at once. @throws Failure `fabric.unknown-token` */
export const revokeToken = operation<{ id: number }, RevokedView>(
  'token-revoke',
  { id: whole(1, Number.MAX_SAFE_INTEGER) },
  async ({ registry, actor }, { id }) => ({ id, changed: await registry.revokeToken(actor, id) }),
);

function tokenView({
  created,
  expires,
  revoked,
  used,
  person: _,
  owner: _owner,
  ...token
}: Token): TokenView {
  return {
    ...token,
    created: isoTime(created),
    expires: isoTime(expires),
    revoked: revoked === undefined ? null : isoTime(revoked),
    used: used === undefined ? null : isoTime(used),
  };
}
