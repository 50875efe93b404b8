import {
  closeSync,
  fchownSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { equal, fromHex, toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import type { AuditHead } from '../../records.ts';
import type { Database } from '../base/statements.ts';
import { auditHash, auditHead } from './audit.ts';

/** The file with the newest audit entry, as `audit --expect` takes it: beside the registry, so that a copy without its log is noticed. */
export const headFile = (path: string): string => `${path}-head`;

const FORM = /^([1-9]\d{0,14}):([0-9a-f]{64})\n?$/;
/** It lags: written once in a while it costs nothing, and a copy that lacks no more than that is found by the next one. */
const LAG_MS = 1_000;

export interface KeptHead {
  /** What the registry lacks; undefined if the entry that was kept is in it. */
  missing(): Failure | undefined;
  /** Keeps the newest entry, soon: for the moment in which all that was committed is on the disk. */
  committed(): void;
  /** The registry as it is now is the one that counts. */
  accept(): void;
  /** Writes what is still to be kept. */
  close(): void;
}

/** The head kept beside the registry at `path`. It is not flushed to the disk, and one that cannot be read counts as none. */
export function keptHead(db: Database, path: string, onError: (error: unknown) => void): KeptHead {
  let kept = readHead(path);
  let newest: AuditHead | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lost = lacks(db, kept);

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    if (newest === undefined || (kept !== undefined && equal(newest.hash, kept.hash))) return;
    try {
      writeHead(path, newest);
      kept = newest;
    } catch (error) {
      onError(error);
    }
  }

  function committed(): void {
    if (lost) return;
    try {
      newest = auditHead(db);
      timer ??= setTimeout(write, LAG_MS).unref();
    } catch (error) {
      // What was committed is committed.
      onError(error);
    }
  }

  return {
    missing: () => (lost ? behind(path, kept!, auditHead(db)) : undefined),
    committed,
    accept() {
      lost = false;
      committed();
    },
    close: write,
  };
}

/** What the registry at `path` lacks now of what its head file tells, for whoever only reads it. */
export function missingBeside(db: Database, path: string): Failure | undefined {
  const kept = readHead(path);
  return lacks(db, kept) ? behind(path, kept!, auditHead(db)) : undefined;
}

/** As the registry's owner has it, also if root writes: the next program may be that user's. No link is followed. */
function writeHead(path: string, { seq, hash }: AuditHead): void {
  const temp = `${headFile(path)}.tmp`;
  rmSync(temp, { force: true });
  const file = openSync(temp, 'wx', 0o600);
  try {
    writeSync(file, `${seq}:${toHex(hash)}\n`);
    if (process.geteuid?.() === 0) {
      const { uid, gid } = statSync(path);
      fchownSync(file, uid, gid);
    }
  } finally {
    closeSync(file);
  }
  renameSync(temp, headFile(path));
}

function readHead(path: string): AuditHead | undefined {
  let text: string;
  try {
    text = readFileSync(headFile(path), 'latin1');
  } catch {
    return undefined;
  }
  const found = FORM.exec(text);
  return found === null ? undefined : { seq: Number(found[1]), hash: fromHex(found[2]!) };
}

/** True if the entry is not in the trail, or is another one there. */
function lacks(db: Database, head: AuditHead | undefined): boolean {
  if (head === undefined) return false;
  const hash = auditHash(db, head.seq);
  return hash === undefined || !equal(hash, head.hash);
}

function behind(path: string, kept: AuditHead, head: AuditHead): Failure {
  const what =
    head.seq < kept.seq
      ? `ends with audit entry ${head.seq}, and there were ${kept.seq}`
      : `has another audit entry ${kept.seq} than there was`;
  return new Failure(
    'audit.behind',
    'operator',
    `the registry ${path} ${what}: it was copied without its -wal file, or replaced by an older one`,
    {
      action:
        'Put the file with -wal at its end back beside it, or restore a backup (docs/backup.md). If what is missing is given up, run "enf-fabric audit --accept-loss".',
    },
  );
}
