import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { type Failure, isFailure } from '../../../protocol/failure.ts';
import type { AuditHead } from '../records.ts';
import type { Database } from '../sql/base/statements.ts';
import { auditHead } from '../sql/trail/audit.ts';
import { headKeeper, type KeptHead, readHead } from '../sql/trail/kept-head.ts';
import type { Loss } from '../sql/trail/restored.ts';
import type { Known, Link } from './link.ts';

/** The newest audit entry that a node has seen, and the server that had it, in the head file of its data folder. */
export interface ServerHead extends KeptHead {
  /** The newest entry of a commit. */
  seen(head: AuditHead): void;
  /** Reads the newest entry soon: others have written. */
  look(db: Database): void;
  /** What is refused from now on is used: whatever it lacks is given up, once `accept` has said so. */
  giveUp(): void;
  onLoss(record: (loss: Loss) => Promise<void>): void;
}

const SERVER = /^server (\d{1,20}) timeline (\d{1,9}) at (\d{1,15})$/;
/** Between two looks at what others have written, and between two attempts to say what was lost. */
const PAUSE_MS = 1_000;

/** What the head file of `path` says; undefined if there is none. */
export function readKnown(path: string): Known | undefined {
  const kept = readHead(path);
  if (kept === undefined) return undefined;
  const entry = { seq: kept.seq, hash: toHex(kept.hash) };
  const server = SERVER.exec(kept.more ?? '');
  if (server === null) return { ...entry, at: Date.now() };
  return { ...entry, system: server[1]!, timeline: Number(server[2]), at: Number(server[3]) };
}

/** Why no server is used: none is there but one that lacks what was seen. Waits for the servers. */
export function refusalBy(link: Link): Failure | undefined {
  try {
    link.ask('read', { sql: 'SELECT 1' });
  } catch (error) {
    if (isFailure(error, 'registry.diverged')) return error;
    throw error;
  }
  return undefined;
}

/** Keeps what `link` knows of its servers beside `path`, the file that names them. */
export function serverHead(link: Link, path: string, onError: (error: unknown) => void): ServerHead {
  const keeper = headKeeper(path, onError);
  let looking: ReturnType<typeof setTimeout> | undefined;
  let refused: Failure | undefined;
  let record: ((loss: Loss) => Promise<void>) | undefined;
  /** How many losses are not in the trail yet: until they are, the next start has to find them again. */
  let owed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function keep(): void {
    const { known } = link;
    if (known?.system === undefined || owed > 0) return;
    const { seq, hash, system, timeline, at } = known;
    keeper.keep({ seq, hash: fromHex(hash) }, `server ${system} timeline ${timeline} at ${at}`);
  }

  async function recordLoss(loss: Loss): Promise<void> {
    try {
      await record!(loss);
    } catch (error) {
      onError(error);
      timer = setTimeout(recordLoss, PAUSE_MS, loss).unref();
      return;
    }
    owed--;
    keep();
  }

  function lose(loss: Loss): void {
    owed++;
    const { seen, newest } = loss;
    onError(
      new Error(`the database server was replaced by one that ends with audit entry ${newest} of ${seen}`),
    );
    recordLoss(loss);
  }

  link.onAdopted(({ known, lost }) => {
    if (lost !== undefined) lose({ seen: lost, newest: known.seq, timeline: known.timeline! });
    keep();
  });

  function seen(head: AuditHead): void {
    link.seen(head);
    keep();
  }

  function giveUp(): void {
    refused ??= refusalBy(link);
    if (refused === undefined) return;
    owed++;
    link.giveUp();
  }

  return {
    missing: () => refused ?? refusalBy(link),
    seen,
    look(db) {
      looking ??= setTimeout(() => {
        looking = undefined;
        try {
          if (db.open) seen(auditHead(db));
        } catch (error) {
          onError(error);
        }
      }, PAUSE_MS).unref();
    },
    giveUp,
    async accept(say) {
      if (refused === undefined) giveUp();
      await say();
      if (refused === undefined) return;
      refused = undefined;
      owed--;
      keep();
    },
    onLoss(call) {
      record = call;
    },
    close() {
      clearTimeout(looking);
      clearTimeout(timer);
      keeper.close();
    },
  };
}
