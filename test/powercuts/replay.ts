import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cut, seeded } from '../qemu/cuts.ts';
import { afterPowerCut, type PowerCut, type Recording, SECTOR } from '../qemu/disk.ts';
import { takeOut } from '../qemu/ext4.ts';

/** What is wrong with what a power cut has left of a disk, which was put into `folder`. */
export type Look = (folder: string, left: PowerCut) => Promise<string[]>;

/** What is left after so many power cuts is looked at at a time. */
const AT_ONCE = 2;

/** Replays cut after cut, and says after which of them something was wrong, and what. `folder`: for what is left after each. */
export async function replayAll(
  recording: Recording,
  cuts: readonly Cut[],
  { folder, look, progress = () => {} }: { folder: string; look: Look; progress?: (done: number) => void },
): Promise<string[]> {
  const failed: string[] = [];
  let [begun, done] = [0, 0];
  const place = async (): Promise<void> => {
    for (let turn = begun++; turn < cuts.length; turn = begun++) {
      const cut = cuts[turn]!;
      const wrong = await replay(recording, cut, join(folder, `cut${turn}`), look);
      const which = `cut after ${cut.position} of ${recording.events.length} events, keeping ${cut.keep}, seed ${cut.seed}`;
      if (wrong.length > 0) failed.push(`${which}: ${wrong.join('; ')}`);
      progress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, place));
  return failed;
}

/** What is wrong after a power cut. Every other cut tears blocks apart, too. */
async function replay(recording: Recording, cut: Cut, folder: string, look: Look): Promise<string[]> {
  const unit = cut.seed % 2 === 0 ? SECTOR : undefined;
  const left = afterPowerCut(recording, cut.position, cut.keep, seeded('blocks', cut.seed), unit);
  const wrong = await takeOut(left.disk, folder);
  try {
    wrong.push(...(await look(folder, left)));
  } catch (error) {
    wrong.push(String(error));
  }
  await rm(folder, { recursive: true, force: true });
  return wrong;
}
