import { toHex } from '../../protocol/bytes.ts';
import type { Group } from './records.ts';

/** Groups that were open when they were last read; whether they still are is read again when a device is admitted. */
export interface OpenGroups {
  /** @throws as `load` does for a group that is not open */
  get(gid: Uint8Array): Group;
  /** Forgets them: a group has changed. */
  clear(): void;
}

export function openGroups(load: (gid: Uint8Array) => Group): OpenGroups {
  const known = new Map<string, Group>();
  return {
    get(gid) {
      const name = toHex(gid);
      const group = known.get(name) ?? load(gid);
      known.set(name, group);
      return group;
    },
    clear: () => known.clear(),
  };
}
