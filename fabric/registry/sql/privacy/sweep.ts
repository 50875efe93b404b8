import { HOST } from '../../../access/scope.ts';
import {
  type KeptAddresses,
  keptAddress,
  keptEndpoint,
  type PrivacyChoices,
  type SweepPlace,
} from '../../privacy.ts';
import { type Database, prepare } from '../base/statements.ts';
import { countAndRemove, DAY_MS, forgetCounts } from '../counts/history.ts';

/** Rows that are looked at in one step: some milliseconds. */
const ROWS = 200;

/** What has to be done to some rows. */
export interface SweepStep {
  /** False: nothing. */
  readonly changes: boolean;
  /** Does it, in the caller's transaction. */
  readonly apply: () => void;
  /** Behind those rows; undefined: there are no more. */
  readonly next: SweepPlace | undefined;
}

/** What has to be done to the rows behind a place, so that they hold no more than is to be kept at the time `at`. */
export function sweepStep(db: Database, at: number, choices: PrivacyChoices, after?: SweepPlace): SweepStep {
  const place = after ?? { table: 'handshake', row: 0 };
  const keeping: Keeping = {
    addresses: (owner) => choices.of(owner).addresses,
    from(owner) {
      const { days } = choices.of(owner);
      return days === undefined ? Number.NEGATIVE_INFINITY : at - days * DAY_MS;
    },
  };
  if (place.table === 'handshake') return handshakeStep(db, at, keeping, place.row);
  return place.table === 'device'
    ? deviceStep(db, keeping, place.row)
    : textStep(db, keeping, place.table, place.row);
}

/** What is kept of addresses, and of what is not older than when, by owner. */
interface Keeping {
  addresses(owner: number): KeptAddresses;
  from(owner: number): number;
}

function handshakeStep(db: Database, at: number, keeping: Keeping, after: number): SweepStep {
  const rows = prepare(
    db,
    `SELECT id, at, source, owner FROM handshake WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  ).all(after) as { id: number; at: number; source: string; owner: number }[];
  const last = rows.at(-1)?.id ?? after;
  const isOld = (row: (typeof rows)[number]): boolean => row.at < keeping.from(row.owner);
  const old = new Set(rows.filter(isOld).map(({ owner }) => owner));
  const shorter = rows
    .filter((row) => !isOld(row))
    .map(({ id, source, owner }) => ({
      ...{ id, was: source },
      source: keptAddress(source, keeping.addresses(owner)),
    }))
    .filter(({ source, was }) => source !== was);
  return {
    changes: old.size > 0 || shorter.length > 0,
    apply() {
      for (const owner of old) {
        const values = [after, last, keeping.from(owner), owner];
        countAndRemove(db, 'id > ? AND id <= ? AND at < ? AND owner = ?', ...values);
      }
      if (old.size > 0) forgetCounts(db, at);
      const update = prepare(
        db,
        'UPDATE handshake SET source = ?, place = CASE WHEN ? = 1 THEN place END WHERE id = ?',
      );
      for (const { id, source } of shorter) update.run(source, source === '' ? 0 : 1, id);
    },
    next: rows.length < ROWS ? { table: 'device', row: 0 } : { table: 'handshake', row: last },
  };
}

interface DeviceRow {
  id: number;
  owner: number;
  handshake_at: number;
  handshake_from: string;
  tunnel_at: number | null;
  tunnel_from: string | null;
  tunnel_ended: number | null;
}

/** A device keeps when it came; that of a tunnel that lasts is not old. */
function deviceStep(db: Database, keeping: Keeping, after: number): SweepStep {
  const rows = prepare(
    db,
    `SELECT id, owner, handshake_at, handshake_from, tunnel_at, tunnel_from, tunnel_ended FROM device
     WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  ).all(after) as DeviceRow[];
  const changed = rows.map((row) => {
    const { id, handshake_from: from, tunnel_from: tunnel, tunnel_ended: ended } = row;
    const [before, addresses] = [keeping.from(row.owner), keeping.addresses(row.owner)];
    const handshakeKept = row.handshake_at < before ? 'none' : addresses;
    const tunnelKept = ended !== null && ended < before ? 'none' : addresses;
    const now = {
      from: keptAddress(from, handshakeKept),
      tunnel: tunnel === null ? null : keptEndpoint(tunnel, tunnelKept),
    };
    return { id, ...now, differs: now.from !== from || now.tunnel !== tunnel };
  });
  const differing = changed.filter(({ differs }) => differs);
  const last = rows.at(-1)?.id;
  return {
    changes: differing.length > 0,
    apply() {
      const update = prepare(
        db,
        `UPDATE device SET handshake_from = ?, tunnel_from = ?, place = CASE WHEN ? = 1 THEN place END WHERE id = ?`,
      );
      for (const { id, from, tunnel } of differing) update.run(from, tunnel, from === '' ? 0 : 1, id);
    },
    next:
      rows.length < ROWS || last === undefined ? { table: 'alarm', row: 0 } : { table: 'device', row: last },
  };
}

/** Alarms of these kinds name addresses, and so does what hooks hear of them. */
const NAMING = "('group.knocking', 'device.twins')";
const TEXTS = {
  alarm: {
    ...{ text: 'detail', at: 'seen', kind: 'kind', from: '$.from', owner: 'owner' },
    next: { table: 'delivery', row: 0 },
  },
  delivery: {
    ...{ text: 'body', at: 'created', kind: "body ->> '$.alarm.kind'", from: '$.alarm.detail.from' },
    // The host's hooks hear of alarms of owners, too.
    owner: "(SELECT owner FROM alarm WHERE alarm.id = CAST(delivery.body ->> '$.alarm.id' AS BIGINT))",
    next: undefined,
  },
} as const;

/** Alarms that were last found before, and deliveries that were made before, name no address any more. */
function textStep(db: Database, keeping: Keeping, table: keyof typeof TEXTS, after: number): SweepStep {
  const { text, at, kind, from, owner, next } = TEXTS[table];
  const rows = prepare(
    db,
    `SELECT id, ${at} AS at, ${owner} AS owner, ${kind} IN ${NAMING} AND json_type(${text}, '${from}') IS NOT NULL AS names
     FROM ${table} WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  ).all(after) as { id: number; at: number; owner: number | null; names: number }[];
  const naming = rows.filter(({ names, at, owner }) => names === 1 && at < keeping.from(owner ?? HOST));
  const last = rows.at(-1)?.id;
  return {
    changes: naming.length > 0,
    apply() {
      const update = prepare(
        db,
        `UPDATE ${table} SET ${text} = json_remove(${text}, '${from}') WHERE id = ?`,
      );
      for (const { id } of naming) update.run(id);
    },
    next: rows.length < ROWS || last === undefined ? next : { table, row: last },
  };
}

/** The same at once, whenever they were made, of those whose addresses are cut from now on. There are some thousands at most. */
export function forgetInAlarms(db: Database, choices: PrivacyChoices): void {
  for (const [table, { text, kind, from, owner }] of Object.entries(TEXTS)) {
    const rows = prepare(
      db,
      `SELECT id, ${owner} AS owner FROM ${table} WHERE ${kind} IN ${NAMING} AND json_type(${text}, '${from}') IS NOT NULL`,
    ).all() as { id: number; owner: number | null }[];
    const update = prepare(db, `UPDATE ${table} SET ${text} = json_remove(${text}, '${from}') WHERE id = ?`);
    for (const { id, owner } of rows) if (choices.of(owner ?? HOST).addresses !== 'whole') update.run(id);
  }
}
