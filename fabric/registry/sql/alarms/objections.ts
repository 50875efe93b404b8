import { secretsEqual } from '../../../../crypto/secrets.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { HOST, type Scope } from '../../../access/scope.ts';
import type { NewGroup } from '../../registry.ts';
import { type Database, prepare } from '../base/statements.ts';
import { recordFindings } from './alarms.ts';

/**
 * Raises alarms if somebody tries to claim another owner's group and holds its label: with that owner, who is not told of whom, and with the host.
 * True if it does. Whoever has no more than the group's public key, which each of its devices has, raises none.
 */
export function raiseObjection(
  db: Database,
  { owner }: Scope,
  at: number,
  { gid, claimHash }: NewGroup,
): boolean {
  const claimed = prepare(db, 'SELECT name, owner, claim_hash FROM grp WHERE gid = ?').get(gid) as
    | { name: string; owner: number; claim_hash: Uint8Array | null }
    | undefined;
  const held = claimed?.claim_hash ?? undefined;
  if (
    claimed === undefined ||
    held === undefined ||
    claimHash === undefined ||
    !secretsEqual(held, claimHash)
  )
    return false;
  const { name } = claimed;
  const by = prepare(db, 'SELECT name FROM owner WHERE id = ?').pluck().get(owner) as string | undefined;
  const finding = { kind: 'claim.objection', subject: toHex(gid) } as const;
  recordFindings(
    db,
    at,
    [],
    [
      { ...finding, owner: claimed.owner, detail: { name } },
      { ...finding, owner: HOST, detail: { name, by: by ?? '?' } },
    ],
    0,
  );
  return true;
}
