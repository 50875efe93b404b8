import type { GroupNumbers } from '../../../fabric/registry/records.ts';

/** A group of so many devices, all of which are there. */
export const sized = (devices: number): GroupNumbers => ({
  ...{ devices, active: devices, connected: 0 },
  ...{ banned: 0, evicted: 0, bannedAndEvicted: 0, retired: 0 },
});
