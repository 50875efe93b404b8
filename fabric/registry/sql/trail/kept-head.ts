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

const FORM = /^([1-9]\d{0,14}):([0-9a-f]{64})(?:\n(.{0,200}))?\n?$/;
/** It lags: written once in a while it costs nothing, and a copy that lacks no more than that is found by the next one. */
const LAG_MS = 1_000;

export interface KeptHead {
  /** What the registry lacks; undefined if the entry that was kept is in it. */
  missing(): Failure | undefined;
  /** The registry as it is now is the one that counts, once `record` has said so in it. */
  accept(record: () => Promise<void>): Promise<void>;
  /** Writes what is still to be kept. */
  close(): void;
}

/** The same of a registry in a file. */
export interface KeptFileHead extends KeptHead {
  /** Keeps the newest entry, soon: for the moment in which all that was committed is on the disk. */
  committed(): void;
}

/** The head kept beside the registry at `path`. It is not flushed to the disk, and one that cannot be read counts as none. */
export function keptHead(db: Database, path: string, onError: (error: unknown) => void): KeptFileHead {
  const kept = readHead(path);
  const keeper = headKeeper(path, onError);
  let lost = lacks(db, kept);

  function committed(): void {
    if (lost) return;
    try {
      keeper.keep(auditHead(db));
    } catch (error) {
      // What was committed is committed.
      onError(error);
    }
  }

  return {
    missing: () => (lost ? behind(path, kept!, auditHead(db)) : undefined),
    committed,
    async accept(record) {
      await record();
      lost = false;
      committed();
    },
    close: keeper.close,
  };
}

/** Writes the newest entry to the head file of `path` once in a while, with a line of `more`. */
export function headKeeper(
  path: string,
  onError: (error: unknown) => void,
): { keep(head: AuditHead, more?: string): void; close(): void } {
  let newest: string | undefined;
  let written: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    if (newest === undefined || newest === written) return;
    try {
      writeBeside(path, headFile(path), newest);
      written = newest;
    } catch (error) {
      onError(error);
    }
  }
  return {
    keep({ seq, hash }, more = '') {
      newest = `${seq}:${toHex(hash)}\n${more}${more && '\n'}`;
      timer ??= setTimeout(write, LAG_MS).unref();
    },
    close: write,
  };
}

/** What the registry at `path` lacks now of what its head file tells, for whoever only reads it. */
export function missingBeside(db: Database, path: string): Failure | undefined {
  const kept = readHead(path);
  return lacks(db, kept) ? behind(path, kept!, auditHead(db)) : undefined;
}

/** Writes a file beside `path` as its owner has it, also if root writes: the next program may be that user's. No link is followed. */
export function writeBeside(path: string, name: string, text: string): void {
  const temp = `${name}.tmp`;
  rmSync(temp, { force: true });
  const file = openSync(temp, 'wx', 0o600);
  try {
    writeSync(file, text);
    if (process.geteuid?.() === 0) {
      const { uid, gid } = statSync(path);
      fchownSync(file, uid, gid);
    }
  } finally {
    closeSync(file);
  }
  renameSync(temp, name);
}

/** The entry that the head file of `path` has, and the line behind it; undefined if there is none. */
export function readHead(path: string): (AuditHead & { readonly more?: string }) | undefined {
  let text: string;
  try {
    text = readFileSync(headFile(path), 'latin1');
  } catch {
    return undefined;
  }
  const found = FORM.exec(text);
  if (found === null) return undefined;
  const more = found[3];
  return { seq: Number(found[1]), hash: fromHex(found[2]!), ...(more && { more }) };
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
