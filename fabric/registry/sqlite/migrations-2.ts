import type { Migration } from './migration.ts';

/** Versions 7 to 13: people, and what they see and choose. */
export const MIGRATIONS_2: readonly Migration[] = [
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
