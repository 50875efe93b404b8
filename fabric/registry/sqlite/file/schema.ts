import type { Database } from 'better-sqlite3';
import { Failure } from '../../../../protocol/failure.ts';
import { prepare } from './statements.ts';

/** One step of the schema. Steps are never edited once released; a new need is a new step at the end. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
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
  {
    name: 'people',
    sql: `
      -- key: the name as names are compared; password: PHC; a person who was removed stays as the actor of the audit trail
      CREATE TABLE person (
        id          INTEGER PRIMARY KEY,
        name        TEXT NOT NULL,
        key         TEXT NOT NULL,
        role        TEXT NOT NULL,
        password    TEXT,
        generation  INTEGER NOT NULL DEFAULT 1,
        created_by  TEXT NOT NULL,
        created     INTEGER NOT NULL,
        signed_in   INTEGER,
        removed     INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX person_of_name ON person (key) WHERE removed IS NULL;

      -- hash = SHA-256 of the invite; a row is deleted when it is used
      CREATE TABLE invite (
        hash        BLOB PRIMARY KEY CHECK (length(hash) = 32),
        role        TEXT NOT NULL,
        created_by  TEXT NOT NULL,
        expires     INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE passkey (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        person      INTEGER NOT NULL REFERENCES person (id),
        credential  BLOB NOT NULL UNIQUE CHECK (length(credential) BETWEEN 1 AND 1023),
        public_key  BLOB NOT NULL,
        counter     INTEGER NOT NULL,
        name        TEXT NOT NULL,
        created     INTEGER NOT NULL,
        used        INTEGER
      ) STRICT;
      CREATE INDEX passkey_of_person ON passkey (person);

      -- hash = SHA-256 of the code; a row is deleted when it is used
      CREATE TABLE recovery_code (
        person  INTEGER NOT NULL REFERENCES person (id),
        hash    BLOB NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (person, hash)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'names, filters and places',
    sql: `
      ALTER TABLE grp ADD COLUMN announced INTEGER;
      ALTER TABLE device ADD COLUMN name TEXT;
      ALTER TABLE device ADD COLUMN note TEXT;
      -- where the address of a handshake was registered when it was written: ISO 3166-1, 'private', or NULL
      ALTER TABLE device ADD COLUMN country TEXT;
      ALTER TABLE handshake ADD COLUMN country TEXT;

      CREATE UNIQUE INDEX device_name ON device (name) WHERE name IS NOT NULL;
      CREATE INDEX device_of_group ON device (gid, id);
      CREATE INDEX device_by_end ON device (substr(address, 15, 2));
      CREATE INDEX device_banned ON device (id) WHERE banned = 1;
      CREATE INDEX device_evicted ON device (id) WHERE evicted = 1;
      CREATE INDEX device_without_tunnel ON device (id) WHERE tunnel_at IS NULL;

      -- how many devices of a group have a tunnel, kept by the trigger
      ALTER TABLE group_size ADD COLUMN connected INTEGER NOT NULL DEFAULT 0;
      UPDATE group_size SET connected =
        (SELECT count(*) FROM device WHERE device.gid = group_size.gid AND tunnel_at IS NOT NULL AND tunnel_ended IS NULL);
      DROP TRIGGER device_is_counted;
      CREATE TRIGGER device_is_counted AFTER INSERT ON device
        BEGIN INSERT INTO group_size (gid, devices) VALUES (NEW.gid, 1) ON CONFLICT (gid) DO UPDATE SET devices = devices + 1; END;
      CREATE TRIGGER device_connects AFTER UPDATE OF tunnel_at, tunnel_ended ON device
        WHEN (OLD.tunnel_at IS NOT NULL AND OLD.tunnel_ended IS NULL) <> (NEW.tunnel_at IS NOT NULL AND NEW.tunnel_ended IS NULL)
        BEGIN UPDATE group_size SET connected = connected + iif(NEW.tunnel_ended IS NULL, 1, -1) WHERE gid = NEW.gid; END;

      -- when the devices of a group came, and where all are now; kept by the triggers
      CREATE TABLE arrival (
        gid      BLOB NOT NULL,
        minute   INTEGER NOT NULL,
        devices  INTEGER NOT NULL,
        PRIMARY KEY (gid, minute)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO arrival SELECT gid, created / 60000, count(*) FROM device GROUP BY 1, 2;
      CREATE TRIGGER device_arrives AFTER INSERT ON device
        BEGIN INSERT INTO arrival VALUES (NEW.gid, NEW.created / 60000, 1) ON CONFLICT DO UPDATE SET devices = devices + 1; END;
      CREATE TABLE device_country (
        country  TEXT PRIMARY KEY,
        devices  INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TRIGGER device_comes_from AFTER INSERT ON device WHEN NEW.country IS NOT NULL
        BEGIN INSERT INTO device_country VALUES (NEW.country, 1) ON CONFLICT DO UPDATE SET devices = devices + 1; END;
      CREATE TRIGGER device_moves AFTER UPDATE OF country ON device WHEN OLD.country IS NOT NEW.country BEGIN
        UPDATE device_country SET devices = devices - 1 WHERE country = OLD.country;
        INSERT INTO device_country SELECT NEW.country, 1 WHERE NEW.country IS NOT NULL ON CONFLICT DO UPDATE SET devices = devices + 1;
      END;

      -- the person whose token it is: it ends with the person; NULL for those of the host's operator
      ALTER TABLE token ADD COLUMN person INTEGER;
      CREATE INDEX token_of_person ON token (person) WHERE revoked IS NULL;

      -- handshakes by hour, place and outcome, see tallies.ts; country is empty where nobody knows
      CREATE TABLE handshake_hour (
        hour     INTEGER NOT NULL,
        country  TEXT NOT NULL,
        ok       INTEGER NOT NULL,
        times    INTEGER NOT NULL,
        PRIMARY KEY (hour, country, ok)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'ends of devices',
    sql: `
      -- when the device was retired; moved_to: the address that the chip with its identity took over
      ALTER TABLE device ADD COLUMN retired INTEGER;
      ALTER TABLE device ADD COLUMN moved_to BLOB CHECK (length(moved_to) = 16);
      CREATE INDEX device_retired ON device (id) WHERE retired IS NOT NULL;
      CREATE INDEX audit_of_subject ON audit (subject, seq);
      CREATE INDEX handshake_of_group ON handshake (gid, id) WHERE result <> 'ok';

      -- what an owner should look at; detail is JSON
      CREATE TABLE alarm (
        id               INTEGER PRIMARY KEY,
        kind             TEXT NOT NULL,
        subject          TEXT NOT NULL,
        detail           TEXT NOT NULL,
        opened           INTEGER NOT NULL,
        seen             INTEGER NOT NULL,
        acknowledged_by  TEXT,
        acknowledged_at  INTEGER,
        ended            INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX alarm_open ON alarm (kind, subject) WHERE ended IS NULL;
      -- up to which entry of the audit trail alarms were looked for
      INSERT INTO counter SELECT 'alarm', value FROM counter WHERE name = 'audit';

      -- secret: the key of the signatures, which the receiver has, too
      CREATE TABLE hook (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        name        TEXT NOT NULL,
        url         TEXT NOT NULL,
        secret      TEXT NOT NULL,
        created_by  TEXT NOT NULL,
        created     INTEGER NOT NULL,
        removed     INTEGER
      ) STRICT;
      -- at: when it is tried next, or was last tried
      CREATE TABLE delivery (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        hook      INTEGER NOT NULL REFERENCES hook (id),
        event     TEXT NOT NULL,
        body      TEXT NOT NULL,
        created   INTEGER NOT NULL,
        attempts  INTEGER NOT NULL DEFAULT 0,
        status    TEXT NOT NULL CHECK (status IN ('waiting', 'sent', 'given-up')),
        at        INTEGER NOT NULL,
        error     TEXT
      ) STRICT;
      CREATE INDEX delivery_of_hook ON delivery (hook, id);
      CREATE INDEX delivery_due ON delivery (at) WHERE status = 'waiting';

      -- how many devices of a group are banned, or retired; kept by the triggers
      ALTER TABLE group_size ADD COLUMN banned INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE group_size ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
      UPDATE group_size SET banned = (SELECT count(*) FROM device WHERE device.gid = group_size.gid AND banned = 1);
      CREATE TRIGGER device_is_banned AFTER UPDATE OF banned ON device WHEN OLD.banned <> NEW.banned
        BEGIN UPDATE group_size SET banned = banned + NEW.banned - OLD.banned WHERE gid = NEW.gid; END;
      CREATE TRIGGER device_retires AFTER UPDATE OF retired ON device WHEN OLD.retired IS NULL AND NEW.retired IS NOT NULL
        BEGIN UPDATE group_size SET retired = retired + 1 WHERE gid = NEW.gid; END;
    `,
  },
  {
    name: 'limits of groups',
    sql: `
      -- how many devices a group may have, and where they may come from for the first time: codes with commas between them
      ALTER TABLE grp ADD COLUMN most INTEGER;
      ALTER TABLE grp ADD COLUMN countries TEXT;
      CREATE INDEX handshake_beyond_limits ON handshake (id)
        WHERE result IN ('fabric.group-full', 'fabric.country-unexpected');
      CREATE INDEX device_failed ON device (failure_at) WHERE failure_at IS NOT NULL;
    `,
  },
  {
    name: 'settings',
    sql: `
      -- what an owner has chosen; value is JSON
      CREATE TABLE setting (
        owner       INTEGER NOT NULL,
        name        TEXT NOT NULL,
        value       TEXT NOT NULL,
        changed_by  TEXT NOT NULL,
        changed     INTEGER NOT NULL,
        PRIMARY KEY (owner, name)
      ) STRICT, WITHOUT ROWID;

      -- where a handshake came from may be forgotten
      DROP TRIGGER handshake_is_append_only;
      CREATE TRIGGER handshake_is_append_only
        BEFORE UPDATE OF id, at, suite, gid, pseudonym, proven, result, address, country ON handshake
        BEGIN SELECT RAISE (ABORT, 'handshakes are never changed'); END;
    `,
  },
  {
    name: 'search',
    sql: `
      -- any three characters of what people have written of a device; kept by the trigger, which an admission does not touch
      CREATE VIRTUAL TABLE device_text USING fts5 (name, note, content='', tokenize='trigram');
      INSERT INTO device_text (rowid, name, note)
        SELECT id, name, note FROM device WHERE name IS NOT NULL OR note IS NOT NULL;
      CREATE TRIGGER device_is_described AFTER UPDATE OF name, note ON device
        WHEN OLD.name IS NOT NEW.name OR OLD.note IS NOT NEW.note BEGIN
        INSERT INTO device_text (device_text, rowid, name, note)
          SELECT 'delete', OLD.id, OLD.name, OLD.note WHERE OLD.name IS NOT NULL OR OLD.note IS NOT NULL;
        INSERT INTO device_text (rowid, name, note)
          SELECT NEW.id, NEW.name, NEW.note WHERE NEW.name IS NOT NULL OR NEW.note IS NOT NULL;
      END;
    `,
  },
  {
    name: 'accounts elsewhere',
    sql: `
      -- accounts at OpenID issuers, by which people sign in; those of who was removed stay, and let nobody in
      CREATE TABLE account (
        issuer  TEXT NOT NULL,
        subject TEXT NOT NULL,
        person  INTEGER NOT NULL REFERENCES person (id),
        login   TEXT NOT NULL, -- as the issuer called it last
        created INTEGER NOT NULL,
        PRIMARY KEY (issuer, subject)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX account_of_person ON account (person, issuer);

      -- whoever the issuer calls so may use the invite, without its text
      ALTER TABLE invite ADD COLUMN login TEXT;
      CREATE INDEX invite_of_login ON invite (login) WHERE login IS NOT NULL;
    `,
  },
];

/**
 * Brings the schema up to date, each step in a transaction of its own together with its row in `migration`.
 * @throws Failure `registry.newer-schema` if a later version of the program wrote the file
 */
export function migrate(db: Database, now: number, steps: readonly Migration[] = MIGRATIONS): void {
  db.exec(
    'CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL) STRICT',
  );
  // Read inside the write lock: two programs that start at once must not both apply a step.
  const applyNext = db.transaction((): boolean => {
    const version = schemaVersion(db);
    if (version > steps.length) throw newerSchema(version, steps.length);
    const step = steps[version];
    if (step === undefined) return false;
    db.exec(step.sql);
    prepare(db, 'INSERT INTO migration VALUES (?, ?, ?)').run(version + 1, step.name, now);
    // Also in the file's header, where the package's scripts can read it.
    db.exec(`PRAGMA user_version = ${version + 1}`);
    return true;
  });
  while (applyNext.immediate());
  // A file of a version that did not write it yet.
  if (prepare(db, 'PRAGMA user_version').pluck().get() !== steps.length)
    db.exec(`PRAGMA user_version = ${steps.length}`);
}

/** The number of migrations the file has seen. */
export function schemaVersion(db: Database): number {
  return (
    (prepare(db, 'SELECT max(version) AS version FROM migration').get() as { version: number | null })
      .version ?? 0
  );
}

/** A later version of the program wrote the file. */
export function newerSchema(version: number, known: number): Failure {
  return new Failure(
    'registry.newer-schema',
    'operator',
    `the registry has schema version ${version}, this program knows ${known}`,
    { action: 'Use the version of enf-fabric that wrote it, or restore the backup made before the upgrade.' },
  );
}
