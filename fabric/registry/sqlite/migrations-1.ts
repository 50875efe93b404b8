import type { Migration } from './migration.ts';

/** Versions 1 to 6: devices, their handshakes, and the trail. */
export const MIGRATIONS_1: readonly Migration[] = [
  {
    name: 'identities',
    sql: `
      CREATE TABLE counter (
        name   TEXT PRIMARY KEY,
        value  INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      INSERT INTO counter VALUES ('change', 0), ('audit', 0);

      -- key: 32 random bytes, from which interface identifiers are derived
      CREATE TABLE network (
        id       INTEGER PRIMARY KEY,
        prefix   BLOB NOT NULL UNIQUE CHECK (length(prefix) = 16),
        name     TEXT NOT NULL,
        key      BLOB NOT NULL CHECK (length(key) = 32),
        created  INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE grp (
        gid         BLOB PRIMARY KEY CHECK (length(gid) = 32),
        gpk         BLOB NOT NULL CHECK (length(gpk) = 258),
        basename    BLOB NOT NULL CHECK (length(basename) BETWEEN 1 AND 64),
        name        TEXT NOT NULL,
        network     INTEGER NOT NULL REFERENCES network (id),
        status      TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
        claim_hash  BLOB CHECK (length(claim_hash) = 32),
        created     INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;

      -- one row per chip and group, for ever: a chip that comes again is the same device
      CREATE TABLE device (
        id              INTEGER PRIMARY KEY,
        gid             BLOB NOT NULL REFERENCES grp (gid),
        pseudonym       BLOB NOT NULL CHECK (length(pseudonym) = 65),
        address         BLOB NOT NULL UNIQUE CHECK (length(address) = 16),
        longterm_key    BLOB NOT NULL CHECK (length(longterm_key) = 65),
        evicted         INTEGER NOT NULL DEFAULT 0,
        banned          INTEGER NOT NULL DEFAULT 0,
        created         INTEGER NOT NULL,
        handshake_at    INTEGER NOT NULL,
        handshake_from  TEXT NOT NULL,
        UNIQUE (gid, pseudonym)
      ) STRICT;

      -- gid and pseudonym are what the peer claimed; proven says whether its group signature was verified
      CREATE TABLE handshake (
        id         INTEGER PRIMARY KEY,
        at         INTEGER NOT NULL,
        source     TEXT NOT NULL,
        suite      INTEGER,
        gid        BLOB,
        pseudonym  BLOB,
        proven     INTEGER NOT NULL,
        result     TEXT NOT NULL,
        address    BLOB
      ) STRICT;
      CREATE INDEX handshake_of_device ON handshake (gid, pseudonym, id);
      CREATE TRIGGER handshake_is_append_only BEFORE UPDATE ON handshake
        BEGIN SELECT RAISE (ABORT, 'handshakes are never changed'); END;

      -- hash = SHA-256(previous hash, canonical row); see audit.ts
      CREATE TABLE audit (
        seq      INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        actor    TEXT NOT NULL,
        action   TEXT NOT NULL,
        subject  TEXT NOT NULL,
        detail   TEXT NOT NULL,
        hash     BLOB NOT NULL CHECK (length(hash) = 32)
      ) STRICT;
      CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE (ABORT, 'the audit trail is never changed'); END;
      CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE (ABORT, 'the audit trail is never deleted'); END;

      -- what a running fabric has to hear of; seq comes from counter in the same transaction, so no row appears late
      CREATE TABLE change (
        seq      INTEGER PRIMARY KEY,
        kind     TEXT NOT NULL CHECK (kind IN ('device', 'group', 'network')),
        subject  BLOB NOT NULL
      ) STRICT;
    `,
  },
  {
    name: 'tunnel history',
    sql: `
      ALTER TABLE device ADD COLUMN tunnel_at INTEGER;
      ALTER TABLE device ADD COLUMN tunnel_from TEXT;
      ALTER TABLE device ADD COLUMN tunnel_ended INTEGER;
    `,
  },
  {
    name: 'agent reports',
    sql: `
      ALTER TABLE device ADD COLUMN reported_at INTEGER;
      ALTER TABLE device ADD COLUMN agent_version TEXT;
      ALTER TABLE device ADD COLUMN failure_code TEXT;
      ALTER TABLE device ADD COLUMN failure_at INTEGER;
    `,
  },
  {
    name: 'answers that cost the same whatever the number of devices',
    sql: `
      -- how many devices a group has, kept by the triggers: counting them reads them all
      CREATE TABLE group_size (
        gid      BLOB PRIMARY KEY REFERENCES grp (gid),
        devices  INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      INSERT INTO group_size SELECT gid, count(*) FROM device GROUP BY gid;
      CREATE TRIGGER device_is_counted AFTER INSERT ON device
        BEGIN INSERT INTO group_size VALUES (NEW.gid, 1) ON CONFLICT (gid) DO UPDATE SET devices = devices + 1; END;
      CREATE TRIGGER device_is_uncounted AFTER DELETE ON device
        BEGIN UPDATE group_size SET devices = devices - 1 WHERE gid = OLD.gid; END;

      CREATE INDEX group_by_age ON grp (created, gid);
      CREATE INDEX audit_of_twins ON audit (subject, seq) WHERE action = 'device.twins';
      CREATE INDEX open_tunnel ON device (id) WHERE tunnel_at IS NOT NULL AND tunnel_ended IS NULL;
    `,
  },
  {
    name: 'tokens',
    sql: `
      -- hash = SHA-256 of the token, which only its bearer has
      CREATE TABLE token (
        id          INTEGER PRIMARY KEY,
        hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        name        TEXT NOT NULL,
        role        TEXT NOT NULL,
        created_by  TEXT NOT NULL,
        created     INTEGER NOT NULL,
        expires     INTEGER NOT NULL,
        revoked     INTEGER,
        used        INTEGER
      ) STRICT;
    `,
  },
  {
    name: 'bounded history',
    sql: `
      -- handshakes without a row of their own, see history.ts; gid and pseudonym are empty for those that prove nothing
      CREATE TABLE handshake_day (
        gid        BLOB NOT NULL,
        pseudonym  BLOB NOT NULL,
        day        INTEGER NOT NULL,
        result     TEXT NOT NULL,
        times      INTEGER NOT NULL,
        first      INTEGER NOT NULL,
        last       INTEGER NOT NULL,
        PRIMARY KEY (gid, pseudonym, day, result)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX handshake_by_day ON handshake_day (day);
      CREATE INDEX handshake_unproven ON handshake (id) WHERE proven = 0;

      -- of each chip the newest 50 rows stay
      CREATE TEMP TABLE surplus AS SELECT id FROM
        (SELECT id, row_number() OVER (PARTITION BY gid, pseudonym ORDER BY id DESC) AS n
         FROM (SELECT gid, pseudonym FROM handshake WHERE gid IS NOT NULL AND pseudonym IS NOT NULL
               GROUP BY gid, pseudonym HAVING count(*) > 50)
         JOIN handshake USING (gid, pseudonym))
        WHERE n > 50;
      INSERT INTO handshake_day
        SELECT iif(proven, gid, x''), iif(proven, pseudonym, x''), at / 86400000, result, count(*), min(at), max(at)
        FROM handshake WHERE id IN (SELECT id FROM surplus) GROUP BY 1, 2, 3, 4;
      DELETE FROM handshake WHERE id IN (SELECT id FROM surplus);
      DROP TABLE surplus;

      -- how often the fabric has noted something of a device since a time, see notes.ts
      CREATE TABLE noted (
        address  BLOB NOT NULL CHECK (length(address) = 16),
        action   TEXT NOT NULL,
        since    INTEGER NOT NULL,
        times    INTEGER NOT NULL,
        PRIMARY KEY (address, action)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];
