import type { Scope } from '../../access/scope.ts';
import { EVERYTHING } from '../../access/scope.ts';
import type { Identifier } from '../address.ts';
import type { Issuing, OwnIssuing } from '../issuing.ts';
import type { OwnPki, PkiAdmission, PkiLists } from '../pki.ts';
import type { Act } from '../records.ts';
import { FABRIC } from '../registry.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { findDevice } from './inventory/devices.ts';
import { addAnchor, issuerFor, issuingCa, listDevices, removeAnchor, renewAnchor } from './pki-anchors.ts';
import {
  admitVouched,
  hasAnchors,
  isShown,
  listedAddress,
  type NetworkAnchors,
  NOT_SAID,
  type VouchedParts,
  vouchers,
  vouches,
} from './pki-arrivals.ts';
import { addCodes, withdrawCode } from './pki-codes.ts';
import { entitled, issue, issuersAsked, revokeLineage } from './pki-issue.ts';
import { dueLists, issuersOf, recordFetch, setListSource, takeList } from './pki-lists.ts';
import { enrolling, setEnrols } from './pki-makers.ts';
import type { Read } from './reader.ts';
import { requireAnyTaken } from './roster/listed.ts';

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
    setEnrols: (actor, id, network) => queue.submit(() => setEnrols(db, scope, act(actor), id, network)),
  }) satisfies OwnPki;

/** What an owner changes of the certificates that the fabric issues for it. */
export const ownIssuingPart = (db: Database, scope: Scope, { read, queue, act }: Parts) =>
  ({
    issuingCa: async (id) => read(() => issuingCa(db, scope, id)),
    renewIssuing: (actor, id, renewed) => queue.submit(() => renewAnchor(db, scope, act(actor), id, renewed)),
    addCodes(actor, codes) {
      const made = act(actor);
      const requireIssuer = (network: Uint8Array): void => {
        requireAnyTaken(db, issuerFor(db, made.at, network), NOT_SAID);
      };
      return queue.submit(() => addCodes(db, scope, made, codes, requireIssuer));
    },
    withdrawCode: (actor, id) => queue.submit(() => withdrawCode(db, scope, act(actor), id)),
    revokeLineage: (actor, anchor, revoked) =>
      queue.submit(() => revokeLineage(db, scope, act(actor), anchor, revoked)),
  }) satisfies OwnIssuing;

/** What the EST server asks and records. */
export const issuingPart = (
  db: Database,
  { read, queue, act }: Parts,
  {
    admitted,
    identifier,
    ...places
  }: VouchedParts & { readonly identifier: Identifier; readonly admitted: (address: Uint8Array) => void },
) =>
  ({
    entitled: (request) => read(() => entitled(db, act(FABRIC).at, request)),
    async issue(request, sign) {
      const done = await queue.submit(() => issue(db, act(FABRIC), request, { ...places, identifier, sign }));
      if (done.admitted !== undefined) admitted(done.admitted);
      return done.certificate;
    },
    issuers: (asked) => read(() => issuersAsked(db, act(FABRIC).at, asked)),
    enrolling: (anchor) => read(() => enrolling(db, anchor)),
  }) satisfies Issuing;

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
