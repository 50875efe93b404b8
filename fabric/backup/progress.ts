/** Where long work tells how far it is. */
export interface Progress {
  /** Something begins, or a tenth of it is done. */
  step(what: string): void;
}

/** Below that it is done before anybody has read how far it is. */
const WORTH_TELLING = 64 * 1_048_576;

/** Passes a stream of about `total` bytes on, and tells each tenth of it. */
export async function* watched(
  chunks: AsyncIterable<Uint8Array>,
  progress: Progress,
  what: string,
  total: number,
): AsyncGenerator<Uint8Array> {
  progress.step(what);
  let done = 0;
  let told = 0;
  for await (const chunk of chunks) {
    yield chunk;
    done += chunk.length;
    const tenth = Math.floor((10 * done) / total);
    if (total < WORTH_TELLING || tenth <= told || tenth >= 10) continue;
    told = tenth;
    progress.step(`${what}: ${tenth}0 %`);
  }
}
