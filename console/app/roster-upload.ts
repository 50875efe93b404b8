import { signal } from '@preact/signals';
import { LONGEST_PART, uploadRoster } from '../../fabric/operations/contract/roster-upload.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { run } from '../api/operations.ts';
import { Problem, problemOf } from '../api/problem.ts';
import { me } from './session.ts';

/** A roster that is on its way to a batch, or did not get there. */
export interface Upload {
  readonly file: RosterFile;
  readonly names: boolean;
  /** How much is done, of 1. */
  readonly part: number;
  readonly problem?: Problem;
}

/** A roster that somebody has chosen. */
export interface RosterFile {
  readonly file: File;
  /** Its first line, which says whose it is; the fabric judges it. */
  readonly header: string;
}

/** By the id of the batch. They go on while other pages are shown, and end with the session. */
export const uploads = signal<ReadonlyMap<string, Upload>>(new Map());

/** Longer first lines are none: the fabric says so. */
const LONGEST_HEADER = 4_096;

/** Takes a file for a roster. @throws Problem if it cannot be read */
export async function rosterFile(file: File): Promise<RosterFile> {
  const text = new TextDecoder('latin1').decode(await bytesOf(file, 0, LONGEST_HEADER + 1));
  const end = text.indexOf('\n');
  return { file, header: text.slice(0, end < 0 ? LONGEST_HEADER : end) };
}

// Whoever signs out, or looks at another owner, sends nothing any more.
me.subscribe(() => {
  uploads.value = new Map();
});

/** Sends a roster to a batch, or the rest of it. What becomes of it is in `uploads`; that it is in force the fabric tells. */
export function upload(gid: string, file: RosterFile, names: boolean): void {
  const sender = me.peek();
  const set = (state: Pick<Upload, 'part' | 'problem'> | undefined): void => {
    if (me.peek() !== sender) throw new Error('the session is over');
    const next = new Map(uploads.peek());
    if (state === undefined) next.delete(gid);
    else next.set(gid, { file, names, ...state });
    uploads.value = next;
  };
  set({ part: 0 });
  const begin = file.header.length + 1;
  uploadRoster({
    requests: {
      begin: () => run('roster-begin', { gid, header: file.header, names }),
      part: (offset, lines) => run('roster-part', { gid, offset, lines: encodeBase64(lines) }),
      index: () => run('roster-index', { gid }),
    },
    read: (offset) => piecesOf(file.file, begin + offset),
    show: (part) => set({ part }),
    passes: (error) => error instanceof Problem && error.passes,
  })
    .then(
      () => set(undefined),
      (error: unknown) => set({ part: 0, problem: problemOf(error) }),
    )
    // Nobody is there any more to whom it could be said.
    .catch(() => {});
}

async function* piecesOf(file: File, begin: number): AsyncGenerator<Uint8Array> {
  for (let at = begin; at < file.size; at += LONGEST_PART)
    yield await bytesOf(file, at, Math.min(file.size, at + LONGEST_PART));
}

/** @throws Problem */
async function bytesOf(file: File, begin: number, end: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(begin, end).arrayBuffer());
  } catch (error) {
    throw new Problem(
      'console.file-unreadable',
      0,
      `the file cannot be read (${(error as Error).message})`,
      'Choose it again: it was moved or changed since.',
    );
  }
}
