/*
 * How a roster travels, whoever has the file: its first line, the lines behind it in parts, and what puts them in force. A command line and a browser
 * do the same here, over whatever carries their requests.
 */

/** Bytes of the lines in one request. */
export const LONGEST_PART = 524_288;
/** As protocol/roster.ts has it, of which a browser needs no more. */
export const LONGEST_LINE = 4_096;

const NEWLINE = 0x0a;
/** How often it is begun again without having come further, and after how long. */
const ATTEMPTS = 5;
const PAUSE_MS = 1_000;
/** Of the whole, what the transfer of the lines takes. */
const TRANSFER = 0.7;

/** What the answers say of a roster that arrives. */
interface Arriving {
  readonly roster: {
    readonly state: 'arriving' | 'indexing' | 'in-force';
    readonly bytes: number;
    readonly devices: number;
    readonly indexed: number;
  } | null;
}
type Progress = Arriving & { readonly offset: number };

/** The requests by which a roster gets to a group. */
export interface RosterRequests<Done> {
  begin(): Promise<Progress>;
  /** Lines behind the first `offset` bytes of the lines. */
  part(offset: number, lines: Uint8Array): Promise<Progress>;
  index(): Promise<Done>;
}

export interface RosterUpload<Done> {
  readonly requests: RosterRequests<Done>;
  /** The file behind the first `offset` bytes of its lines, in pieces of whatever length. */
  read(offset: number): AsyncIterable<Uint8Array>;
  /** Hears how much is done, of 1. */
  show(part: number): void;
  /** May an error be gone the next time? */
  passes(error: unknown): boolean;
}

/**
 * Gives a group its roster, from where it is already, and resolves when it is in force. What may go better the next time is tried again.
 * @throws what the requests and `read` do
 */
export async function uploadRoster<Done extends { readonly view: Arriving }>(
  upload: RosterUpload<Done>,
): Promise<Done> {
  let [furthest, failed] = [0, 0];
  for (;;) {
    let reached = 0;
    try {
      return await sendRest(upload, (part) => {
        reached = part;
        upload.show(part);
      });
    } catch (error) {
      failed = reached > furthest ? 1 : failed + 1;
      furthest = Math.max(furthest, reached);
      if (!upload.passes(error) || failed === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function sendRest<Done extends { readonly view: Arriving }>(
  { requests, read }: RosterUpload<Done>,
  show: (part: number) => void,
): Promise<Done> {
  const begun = await requests.begin();
  let { offset } = begun;
  const { bytes = 0 } = begun.roster ?? {};
  if (offset < bytes) {
    for await (const lines of partsOf(read(offset))) {
      ({ offset } = await requests.part(offset, lines));
      show((TRANSFER * offset) / bytes);
    }
  }
  for (;;) {
    const done = await requests.index();
    const { roster } = done.view;
    if (roster?.state === 'in-force') return done;
    show(TRANSFER + (1 - TRANSFER) * ((roster?.indexed ?? 0) / Math.max(1, roster?.devices ?? 0)));
  }
}

/** The same bytes in parts that end with a line, each as long as a request may have. */
export async function* partsOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + LONGEST_PART - rest.length);
      at += taken.length;
      const held = new Uint8Array(rest.length + taken.length);
      held.set(rest);
      held.set(taken, rest.length);
      const end = held.lastIndexOf(NEWLINE) + 1;
      // A line that does not end is for the fabric to refuse.
      const cut = end === 0 && held.length > LONGEST_LINE ? held.length : end;
      if (cut > 0) yield held.subarray(0, cut);
      rest = held.subarray(cut);
    }
  }
  if (rest.length > 0) yield rest;
}
