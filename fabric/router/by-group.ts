import { toHex } from '../../protocol/bytes.ts';
import type { Session } from './session.ts';

/** The sessions of each group, so that a group's change costs as much as its connected devices. */
export interface SessionsByGroup {
  add(session: Session): void;
  delete(session: Session): void;
  /** Those of a group (by its id) as they are now. */
  of(gid: Uint8Array): readonly Session[];
}

export function sessionsByGroup(): SessionsByGroup {
  const groups = new Map<string, Set<Session>>();
  return {
    add(session) {
      const name = toHex(session.gid);
      const members = groups.get(name) ?? new Set();
      members.add(session);
      groups.set(name, members);
    },
    delete(session) {
      const name = toHex(session.gid);
      const members = groups.get(name);
      members?.delete(session);
      if (members?.size === 0) groups.delete(name);
    },
    of: (gid) => [...(groups.get(toHex(gid)) ?? [])],
  };
}
