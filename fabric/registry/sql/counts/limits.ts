import { Failure } from '../../../../protocol/failure.ts';
import { counted } from '../../../../protocol/words.ts';
import { type Group, shortGid } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';

/** What limits a group, and how it is named in a refusal. */
export type GroupLimits = Pick<Group, 'gid' | 'name' | 'most' | 'countries'>;

/**
 * A device that comes for the first time is within the limits that an owner has set for its group. Those that are in are never asked. Nothing is
 * read for a group without a limit. @throws Failure `fabric.group-full`, `fabric.country-unexpected`
 */
export function requireWithinLimits(db: Database, group: GroupLimits, country: string | undefined): void {
  const { gid, name, most, countries } = group;
  if (countries !== undefined && !countries.includes(country ?? 'unknown')) {
    throw new Failure(
      'fabric.country-unexpected',
      'operator',
      `a new device of the group ${name} (${shortGid(gid)}) comes from ${country ?? 'an unknown place'}`,
      {
        action: 'If it is yours, let it in with "enf-fabric group countries"; if not, find out who has it.',
      },
    );
  }
  if (most !== undefined && countedIn(db, gid) >= most) {
    throw new Failure(
      'fabric.group-full',
      'operator',
      `the group ${name} (${shortGid(gid)}) has the ${counted(most, 'device')} that it may have`,
      {
        action:
          'If more are yours, raise the number with "enf-fabric group limit"; if not, find out who issued them.',
      },
    );
  }
}

/** One that was retired makes room for another. */
function countedIn(db: Database, gid: Uint8Array): number {
  const row = prepare(db, 'SELECT devices - retired AS n FROM group_size WHERE gid = ?').get(gid);
  return (row as { n: number } | undefined)?.n ?? 0;
}
