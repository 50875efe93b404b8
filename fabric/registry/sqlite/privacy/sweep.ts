import type { Database } from 'better-sqlite3';
import { keptAddress, keptEndpoint, type Privacy, type SweepPlace } from '../../privacy.ts';
import { countAndRemove, DAY_MS, forgetCounts } from '../counts/history.ts';
import { prepare } from '../file/statements.ts';

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
export function sweepStep(db: Database, at: number, privacy: Privacy, after?: SweepPlace): SweepStep {
  const place = after ?? { table: 'handshake', row: 0 };
  const before = privacy.days === undefined ? Number.NEGATIVE_INFINITY : at - privacy.days * DAY_MS;
  if (place.table === 'handshake') return handshakeStep(db, at, before, privacy, place.row);
  return place.table === 'device'
    ? deviceStep(db, before, privacy, place.row)
    : textStep(db, before, place.table, place.row);
}

function handshakeStep(
  db: Database,
  at: number,
  before: number,
  { addresses }: Privacy,
  after: number,
): SweepStep {
  const rows = prepare(db, `SELECT id, at, source FROM handshake WHERE id > ? ORDER BY id LIMIT ${ROWS}`).all(
    after,
  ) as { id: number; at: number; source: string }[];
  const last = rows.at(-1)?.id ?? after;
  const old = rows.some(({ at }) => at < before);
  const shorter = rows
    .filter(({ at }) => at >= before)
    .map(({ id, source }) => ({ id, was: source, source: keptAddress(source, addresses) }))
    .filter(({ source, was }) => source !== was);
  return {
    changes: old || shorter.length > 0,
    apply() {
      if (old) {
        countAndRemove(db, 'id > ? AND id <= ? AND at < ?', after, last, before);
        forgetCounts(db, at);
      }
      const update = prepare(db, 'UPDATE handshake SET source = ?, place = iif(?, place, NULL) WHERE id = ?');
      for (const { id, source } of shorter) update.run(source, source === '' ? 0 : 1, id);
    },
    next: rows.length < ROWS ? { table: 'device', row: 0 } : { table: 'handshake', row: last },
  };
}

interface DeviceRow {
  id: number;
  handshake_at: number;
  handshake_from: string;
  tunnel_at: number | null;
  tunnel_from: string | null;
  tunnel_ended: number | null;
}

/** A device keeps when it came; that of a tunnel that lasts is not old. */
function deviceStep(db: Database, before: number, { addresses }: Privacy, after: number): SweepStep {
  const rows = prepare(
    db,
    `SELECT id, handshake_at, handshake_from, tunnel_at, tunnel_from, tunnel_ended FROM device
     WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  ).all(after) as DeviceRow[];
  const changed = rows.map((row) => {
    const { id, handshake_from: from, tunnel_from: tunnel, tunnel_ended: ended } = row;
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
        `UPDATE device SET handshake_from = ?, tunnel_from = ?, place = iif(?, place, NULL) WHERE id = ?`,
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
  alarm: { text: 'detail', at: 'seen', kind: 'kind', from: '$.from', next: { table: 'delivery', row: 0 } },
  delivery: {
    ...{ text: 'body', at: 'created', kind: "body ->> '$.alarm.kind'", from: '$.alarm.detail.from' },
    next: undefined,
  },
} as const;

/** Alarms that were last found before, and deliveries that were made before, name no address any more. */
function textStep(db: Database, before: number, table: keyof typeof TEXTS, after: number): SweepStep {
  const { text, at, kind, from, next } = TEXTS[table];
  const rows = prepare(
    db,
    `SELECT id, ${at} < ? AND ${kind} IN ${NAMING} AND json_type(${text}, '${from}') IS NOT NULL AS names
     FROM ${table} WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  ).all(before, after) as { id: number; names: number }[];
  const naming = rows.filter(({ names }) => names === 1);
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

/** The same at once, whenever they were made, if addresses are cut from now on. There are some thousands at most. */
export function forgetInAlarms(db: Database, { addresses }: Privacy): void {
  if (addresses === 'whole') return;
  for (const [table, { text, kind, from }] of Object.entries(TEXTS))
    prepare(
      db,
      `UPDATE ${table} SET ${text} = json_remove(${text}, '${from}')
       WHERE ${kind} IN ${NAMING} AND json_type(${text}, '${from}') IS NOT NULL`,
    ).run();
}
