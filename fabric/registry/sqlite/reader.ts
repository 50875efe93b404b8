import type { Database } from 'better-sqlite3';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import type { RegistryReader } from '../registry.ts';
import { listAlarms, newAlarms } from './alarms.ts';
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
import { deviceNamed, requireDevice } from './devices.ts';
import { guarded } from './file/database.ts';
import { MIGRATIONS, schemaVersion } from './file/schema.ts';
import { connect } from './file/statements.ts';
import { groupNamed, listGroups } from './groups.ts';
import { listHandshakes } from './handshakes.ts';
import { listDeliveries, listHooks } from './hooks.ts';
import { listNetworks, networkNamed } from './networks.ts';
import { listPeople } from './people/people.ts';
import { listTokens } from './people/tokens.ts';
import { readPrivacy } from './privacy/settings.ts';
import { findDevices } from './search/found.ts';
import { type Tails, tailsOf } from './search/tails.ts';
import { lastTwins, listAudit, verifyAudit } from './trail/audit.ts';
import { missingBeside } from './trail/kept-head.ts';

/** Runs an access to the file; its errors become a Failure. */
export type Read = <T>(work: () => T) => T;

/** What an owner reads, on this connection. */
export function readingPart(
  db: Database,
  read: Read,
  tails: Tails = tailsOf(db, read),
): Omit<RegistryReader, 'close' | 'missing'> {
  return {
    networks: async (page, filter) => read(() => listNetworks(db, page, filter)),
    groups: async (page, filter) => read(() => listGroups(db, page, filter)),
    network: async (text) => read(() => networkNamed(db, text)),
    group: async (text) => read(() => groupNamed(db, text)),
    async devices(page, filter = {}) {
      if (filter.search === undefined) return read(() => listDevices(db, page, filter));
      const sought = { after: placeIn(page), most: mostFound(page, filter) };
      const found = await findDevices({ db, read, tails }, filter.search, sought);
      return read(() => listFound(db, page, filter, found));
    },
    deviceNamed: async (name) => read(() => deviceNamed(db, name)),
    device: async (address) => read(() => requireDevice(db, address)),
    clonesOf: async (address) => read(() => lastTwins(db, formatIpv6(address))),
    handshakes: async (page, filter) => read(() => listHandshakes(db, page, filter)),
    handshakeCounts: async (device) => read(() => handshakeCounts(db, device)),
    census: async () => read(() => census(db)),
    hourTallies: (since) => hourTallies(db, read, since),
    countryTallies: (since) => countryTallies(db, read, since),
    deviceCountries: async () => read(() => deviceCountries(db)),
    arrivals: async (gid, most) => read(() => arrivalsOf(db, gid, most)),
    groupNumbers: async (gid) => read(() => groupNumbers(db, gid)),
    audit: async (page, subject) => read(() => listAudit(db, page, subject)),
    verifyAudit: (expected) => verifyAudit(db, read, expected),
    people: async (page) => read(() => listPeople(db, page)),
    alarms: async (page, open) => read(() => listAlarms(db, page, open)),
    newAlarms: async () => read(() => newAlarms(db)),
    hooks: async () => read(() => listHooks(db)),
    deliveries: async (page, hook) => read(() => listDeliveries(db, page, hook)),
    privacy: async () => read(() => readPrivacy(db)),
    tokens: async (page) => read(() => listTokens(db, page)),
  };
}

/** How long a read waits where it cannot read beside a writer: while a registry is repaired after a crash. */
const BUSY_TIMEOUT_MS = 2_000;

/**
 * Opens the registry at `path` to read beside the process that writes it; undefined if its schema is not the one that this program
 * knows. Reads no longer than a page at once, so that the log can be written back between two of them.
 * @throws Failure see `openDatabase`
 */
export function openSqliteReader(path: string): RegistryReader | undefined {
  const read: Read = (work) => guarded(path, work);
  const db = read(() => connect(path, { readonly: true, timeout: BUSY_TIMEOUT_MS }));
  try {
    if (read(() => schemaVersion(db)) === MIGRATIONS.length) {
      return {
        ...readingPart(db, read),
        missing: () => read(() => missingBeside(db, path)),
        close: async () => void db.close(),
      };
    }
  } catch (error) {
    db.close();
    throw error;
  }
  db.close();
  return undefined;
}
