import { formatIpv6 } from '../../../protocol/ipv6.ts';
import type { Scope } from '../../access/scope.ts';
import type { OwnedReader, RegistryReader } from '../registry.ts';
import { listAlarms, newAlarms } from './alarms/alarms.ts';
import { listDeliveries, listHooks } from './alarms/hooks.ts';
import type { Database } from './base/statements.ts';
import { deviceCities } from './counts/cities.ts';
import { handshakeCounts } from './counts/history.ts';
import {
  arrivalsOf,
  census,
  countryTallies,
  deviceCountries,
  groupNumbers,
  hourTallies,
} from './counts/tallies.ts';
import { listDevices, listFound, mostFound, placeIn } from './device-list.ts';
import {
  delegatedTo,
  deviceBehind,
  findPool,
  isGroupGranted,
  listDelegations,
} from './inventory/delegations.ts';
import { addressIn, deviceNamed, findDevice, requireDevice } from './inventory/devices.ts';
import { groupNamed, listGroups } from './inventory/groups.ts';
import { knocksOf, listHandshakes } from './inventory/handshakes.ts';
import { listNetworks, networkNamed } from './inventory/networks.ts';
import { nodesReader } from './nodes/part.ts';
import { listInvites } from './people/invites.ts';
import { lentIn } from './people/owners.ts';
import { listPeople } from './people/people.ts';
import { ownersReader } from './people/people-part.ts';
import { listTokens } from './people/tokens.ts';
import { listAnchors } from './pki-anchors.ts';
import { listCodes } from './pki-codes.ts';
import { listIssued } from './pki-issued.ts';
import { chooserOf, readPrivacy } from './privacy/settings.ts';
import { rosterReader } from './rosters.ts';
import { findDevices } from './search/found.ts';
import { type Tails, tailsOf } from './search/tails.ts';
import { listRates, ratesFor } from './traffic/rates.ts';
import { listRules } from './traffic/rules.ts';
import { lastTwins, listAudit, verifyAudit, verifyAuditPart } from './trail/audit.ts';

/** Runs an access to the file; its errors become a Failure. */
export type Read = <T>(work: () => T) => T;

/** What is read in a scope, on this connection. */
export function readingPart(
  db: Database,
  scope: Scope,
  { read, tails, now }: { readonly read: Read; readonly tails: Tails; readonly now: () => number },
): OwnedReader {
  return {
    scope,
    networks: async (page, filter) => read(() => listNetworks(db, scope, page, filter)),
    groups: async (page, filter) => read(() => listGroups(db, scope, page, filter)),
    lent: async () => read(() => lentIn(db, scope)),
    network: async (text) => read(() => networkNamed(db, scope, text)),
    rules: async (network, page) => read(() => listRules(db, scope, network, page)),
    rateLimits: async (network, page) => read(() => listRates(db, scope, network, page)),
    rateLimitsFor: async (device) => read(() => ratesFor(db, device)),
    group: async (text) => read(() => groupNamed(db, scope, text)),
    async devices(page, filter = {}) {
      if (filter.search === undefined) return read(() => listDevices(db, scope, page, filter));
      const sought = { after: placeIn(page), most: mostFound(page, scope, filter), scope };
      const found = await findDevices({ db, read, tails }, filter.search, sought);
      return read(() => listFound(db, scope, page, { filter, found }));
    },
    deviceNamed: async (name) => read(() => deviceNamed(db, scope, name)),
    addressIn: async (prefix, name) => read(() => addressIn(db, scope, prefix, name)),
    device: async (address) => read(() => requireDevice(db, scope, address)),
    clonesOf: async (address) =>
      read(() =>
        findDevice(db, scope, address) === undefined ? undefined : lastTwins(db, formatIpv6(address)),
      ),
    handshakes: async (page, filter) => read(() => listHandshakes(db, scope, page, filter)),
    handshakeCounts: async (device) => read(() => handshakeCounts(db, scope, device)),
    census: async () => read(() => census(db, scope)),
    hourTallies: (since) => hourTallies(db, scope, read, since),
    countryTallies: (since) => countryTallies(db, scope, read, since),
    deviceCountries: async () => read(() => deviceCountries(db, scope)),
    deviceCities: async (most) => read(() => deviceCities(db, scope, most)),
    arrivals: async (gid, most) => read(() => arrivalsOf(db, scope, gid, most)),
    groupNumbers: async (gid) => read(() => groupNumbers(db, scope, gid)),
    audit: async (page, subject) => read(() => listAudit(db, scope, page, subject)),
    knocks: async (gid, most) => read(() => knocksOf(db, scope, gid, most)),
    people: async (page) => read(() => listPeople(db, scope, page)),
    alarms: async (page, open) => read(() => listAlarms(db, scope, page, open)),
    newAlarms: async () => read(() => newAlarms(db, scope)),
    hooks: async () => read(() => listHooks(db, scope)),
    deliveries: async (page, hook) => read(() => listDeliveries(db, scope, page, hook)),
    privacy: async () => read(() => readPrivacy(db, chooserOf(scope))),
    invites: async (page) => read(() => listInvites(db, scope, page, now())),
    tokens: async (page) => read(() => listTokens(db, scope, page)),
    ...rosterReader(db, scope, read),
    pool: async (network) => read(() => findPool(db, scope, network)),
    delegations: async (network, page) => read(() => listDelegations(db, scope, network, page)),
    isGroupGranted: async (gid) => read(() => isGroupGranted(db, gid)),
    delegated: async (device) => read(() => delegatedTo(db, device)),
    deviceBehind: async (address) => read(() => deviceBehind(db, scope, address)),
    anchors: async () => read(() => listAnchors(db, scope)),
    codes: async (page) => read(() => listCodes(db, scope, page)),
    issued: async (page, filter) => read(() => listIssued(db, scope, page, filter)),
  };
}

/** The registry on a connection, to be read; `missing` says what it lacks, `nodesNow` is the clock that its nodes have in common, if not this host's. */
export function readerOn(
  db: Database & { close(): unknown },
  read: Read,
  { missing, nodesNow = Date.now }: { missing: RegistryReader['missing']; nodesNow?: () => number },
): RegistryReader {
  const tails = tailsOf(db, read);
  return {
    ...ownersReader(db, read),
    ...nodesReader(db, { read, now: nodesNow }),
    of: (scope) => readingPart(db, scope, { read, tails, now: Date.now }),
    verifyAudit: (expected) => verifyAudit(db, read, expected),
    verifyAuditPart: async (from) => read(() => verifyAuditPart(db, from)),
    missing: () => read(missing),
    close: async () => void db.close(),
  };
}
