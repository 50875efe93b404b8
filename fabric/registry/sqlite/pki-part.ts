import type { Database } from 'better-sqlite3';
import type { Scope } from '../../access/scope.ts';
import { EVERYTHING } from '../../access/scope.ts';
import type { OwnPki, PkiAdmission, PkiLists } from '../pki.ts';
import type { Act } from '../records.ts';
import { FABRIC } from '../registry.ts';
import { findDevice } from './devices.ts';
import type { CommitQueue } from './file/group-commit.ts';
import { addAnchor, listDevices, removeAnchor } from './pki-anchors.ts';
import {
  admitVouched,
  hasAnchors,
  isShown,
  listedAddress,
  type NetworkAnchors,
  type VouchedParts,
  vouchers,
  vouches,
} from './pki-arrivals.ts';
import { dueLists, issuersOf, recordFetch, revokeSerial, setListSource, takeList } from './pki-lists.ts';
import type { Read } from './reader.ts';

interface Parts {
  readonly read: Read;
  readonly queue: CommitQueue;
  act(actor: string): Act;
}

/** What an owner changes of its CAs. */
export const ownPkiPart = (db: Database, scope: Scope, { read, queue, act }: Parts) =>
  ({
    addAnchor: (actor, anchor) => queue.submit(() => addAnchor(db, scope, act(actor), anchor)),
    removeAnchor: (actor, id) => queue.submit(() => removeAnchor(db, scope, act(actor), id)),
    listDevices: (actor, id, rows) => queue.submit(() => listDevices(db, scope, act(actor), id, rows)),
    issuersOf: async (id) => read(() => issuersOf(db, scope, id)),
    takeList: (actor, id, list) => queue.submit(() => takeList(db, scope, act(actor), id, list)),
    setListSource: (actor, id, url) => queue.submit(() => setListSource(db, scope, act(actor), id, url)),
    revokeSerial: (actor, id, serial, reason) =>
      queue.submit(() => revokeSerial(db, scope, act(actor), id, { serial, reason })),
  }) satisfies OwnPki;

/** What the router asks and records of certificates. */
export const pkiPart = (
  db: Database,
  { read, queue, act }: Parts,
  {
    admitted,
    anchors,
    ...places
  }: VouchedParts & {
    readonly anchors: NetworkAnchors;
    /** Called with the address of a device that has come for the first time. */
    readonly admitted: (address: Uint8Array) => void;
  },
) =>
  ({
    hasAnchors: () => read(() => hasAnchors(db)),
    listedAddress: (facts) => read(() => listedAddress(db, facts)),
    vouchers: (address, facts) => read(() => vouchers(db, anchors, address, facts)),
    vouches: (vouched) => read(() => vouches(db, vouched)),
    async admitVouched(shown) {
      // Most come with the certificate that they had: nothing is written for them.
      if (read(() => isShown(db, shown))) return false;
      const known = read(() => findDevice(db, EVERYTHING, shown.address));
      await queue.submit(() => admitVouched(db, act(FABRIC), shown, places));
      if (known === undefined) admitted(shown.address);
      return true;
    },
  }) satisfies PkiAdmission;

/** What fetches lists of revoked certificates. */
export const pkiListsPart = (
  db: Database,
  { read, queue, now }: Pick<Parts, 'read' | 'queue'> & { readonly now: () => number },
) =>
  ({
    dueLists: async (most) => read(() => dueLists(db, now(), most)),
    recordFetch: (due, outcome) => queue.submit(() => recordFetch(db, now(), due, outcome)),
  }) satisfies PkiLists;
