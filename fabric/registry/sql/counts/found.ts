import { toHex } from '../../../../protocol/bytes.ts';
import type { AlarmKind, FailurePage, FailurePlace, Finding } from '../../alarms.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';

/** What the registry finds for alarms. */

/** As many as are open of one kind for an owner. */
const MOST_OF_KIND = 50;
/** The newest refusals by limits, which are looked at: of each owner its part, and no fewer than that. */
const REFUSALS = 1_000;
const LEAST_REFUSALS = 20;
const FAILURES = 1_000;

/** Groups of which more devices came than are expected. */
export function overAnnounced(db: Database): Finding[] {
  const rows = prepare(
    db,
    `SELECT gid, owner, name, announced, devices FROM
       (SELECT *, row_number() OVER (PARTITION BY owner) AS n FROM grp JOIN group_size USING (gid)
        WHERE announced IS NOT NULL AND devices > announced) AS numbered WHERE n <= ${MOST_OF_KIND}`,
  ).all() as { gid: Uint8Array; owner: number; name: string; announced: number; devices: number }[];
  return rows.map(({ gid, owner, ...detail }) => ({
    kind: 'group.over-announced',
    owner,
    subject: toHex(bytes(gid)),
    detail,
  }));
}

/** As the index of them says. */
const KEPT_OUT = "('fabric.group-full', 'fabric.country-unexpected', 'fabric.not-on-roster')";
const KINDS: Readonly<Record<string, AlarmKind>> = {
  'fabric.group-full': 'group.over-limit',
  'fabric.country-unexpected': 'country.unexpected',
  'fabric.not-on-roster': 'group.off-roster',
};

interface Refused {
  gid: Uint8Array;
  owner: number;
  name: string;
  result: string;
  country: string | null;
  times: number;
  last: number;
}

/** Groups whose limits or roster have kept devices out since a time, and still would. */
export function beyondLimits(db: Database, since: number): Finding[] {
  const owners = prepare(db, 'SELECT count(*) FROM owner').pluck().get() as number;
  const rows = prepare(
    db,
    // A group that has become another owner's since then is none of the former one's, nor the other way round.
    `SELECT grp.gid, grp.owner, grp.name, result, country, count(*) AS times, max(at) AS last
     FROM owner JOIN handshake AS refused ON refused.owner = owner.id AND refused.result IN ${KEPT_OUT} AND refused.id >= coalesce(
       (SELECT newest.id FROM handshake AS newest WHERE newest.owner = owner.id AND newest.result IN ${KEPT_OUT}
        ORDER BY newest.id DESC LIMIT 1 OFFSET ?), 0)
     JOIN grp ON grp.gid = refused.gid AND grp.owner = refused.owner LEFT JOIN group_size ON group_size.gid = grp.gid
     WHERE at > ? AND CASE result WHEN 'fabric.group-full' THEN devices - retired >= most WHEN 'fabric.not-on-roster' THEN roster > 0
       ELSE instr(',' || countries || ',', ',' || coalesce(country, 'unknown') || ',') = 0 END
     GROUP BY grp.gid, result, country ORDER BY times DESC`,
  ).all(Math.max(LEAST_REFUSALS, Math.floor(REFUSALS / owners)) - 1, since) as Refused[];
  const found = new Map<string, Refused[]>();
  for (const row of rows) {
    const key = `${row.result} ${toHex(row.gid)}`;
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  const times = new Map<number, number>();
  return [...found.values()].map(finding).filter(({ owner }) => {
    times.set(owner, (times.get(owner) ?? 0) + 1);
    return times.get(owner)! <= MOST_OF_KIND;
  });
}

/** `rows`: of one group and one limit. */
function finding(rows: readonly Refused[]): Finding {
  const { gid, owner, name, result } = rows[0]!;
  return {
    kind: KINDS[result]!,
    owner,
    subject: toHex(bytes(gid)),
    detail: {
      name,
      times: rows.reduce((sum, { times }) => sum + times, 0),
      last: new Date(Math.max(...rows.map(({ last }) => last))).toISOString(),
      countries: rows.map(({ country }) => country ?? 'unknown'),
    },
  };
}

/** Failures of devices since a time, the oldest first. */
export function failures(db: Database, since: number, after?: FailurePlace): FailurePage {
  const { at, row } = after ?? { at: since, row: -1 };
  const rows = prepare(
    db,
    `SELECT id, gid, owner, failure_code AS code, failure_at AS at FROM device
     WHERE failure_at IS NOT NULL AND (failure_at, id) > (?, ?) ORDER BY failure_at, id LIMIT ${FAILURES}`,
  ).all(at, row) as { id: number; gid: Uint8Array; owner: number; code: string; at: number }[];
  const last = rows.length < FAILURES ? undefined : rows.at(-1)!;
  return {
    rows: rows.map(({ gid, owner, code }) => ({ gid: bytes(gid), owner, code })),
    ...(last !== undefined && { next: { at: last.at, row: last.id } }),
  };
}
