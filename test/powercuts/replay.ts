import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import type { NetworkView } from '../../fabric/operations/views/groups.ts';
import { loadAuthority } from '../../fabric/pki/authority.ts';
import { FILES } from '../../fabric/pki/files.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { type Cut, seeded } from '../qemu/cuts.ts';
import { afterPowerCut, type Recording, SECTOR } from '../qemu/disk.ts';
import { takeOut } from '../qemu/ext4.ts';
import { forgotten } from './expectations.ts';
import { certificates } from './load.ts';
import { type Serving, serveFolder } from './serving.ts';

/** Fabrics that are looked at at a time. */
const AT_ONCE = 2;

/** Replays cut after cut, and says after which of them something was wrong, and what. `folder`: for what is left after each. */
export async function replayAll(
  recording: Recording,
  cuts: readonly Cut[],
  folder: string,
  progress: (done: number) => void = () => {},
): Promise<string[]> {
  const failed: string[] = [];
  let [begun, done] = [0, 0];
  const place = async (): Promise<void> => {
    for (let turn = begun++; turn < cuts.length; turn = begun++) {
      const cut = cuts[turn]!;
      const wrong = await replay(recording, cut, join(folder, `cut${turn}`));
      const which = `cut after ${cut.position} of ${recording.events.length} events, keeping ${cut.keep}, seed ${cut.seed}`;
      if (wrong.length > 0) failed.push(`${which}: ${wrong.join('; ')}`);
      progress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, place));
  return failed;
}

/** What is wrong with the fabric after a power cut. Every other cut tears blocks apart, too. */
async function replay(recording: Recording, cut: Cut, folder: string): Promise<string[]> {
  const unit = cut.seed % 2 === 0 ? SECTOR : undefined;
  const left = afterPowerCut(recording, cut.position, cut.keep, seeded('blocks', cut.seed), unit);
  const wrong = await takeOut(left.disk, folder);
  let serving: Serving | undefined;
  try {
    serving = await serveFolder(join(folder, 'fabric'));
    wrong.push(...(await lookAt(serving, left.marks)));
  } catch (error) {
    wrong.push(String(error));
  }
  await serving?.kill();
  await rm(folder, { recursive: true, force: true });
  return wrong;
}

/** What is wrong with a fabric that has started by itself, of which its clients were told `marks`. */
async function lookAt(serving: Serving, marks: readonly string[]): Promise<string[]> {
  const wrong = unsound(join(serving.data, FILES.registry));
  // Fails if an entry of the trail is missing or another one, also one that was noted beside the registry.
  await serving.run('audit-verify');
  // Fails if a key does not belong to its certificate, or one is not whole.
  await loadAuthority(serving.data);
  parseTrust(await readFile(join(serving.data, FILES.trust), 'utf8'));
  const found = new Map(await certificates(serving));
  for await (const { address, standing, longtermKey } of rowsOf<DeviceView>(serving, 'device-list')) {
    found.set(`key ${address}`, longtermKey);
    found.set(`standing ${address}`, standing);
  }
  for await (const { prefix, name } of rowsOf<NetworkView>(serving, 'network-list'))
    found.set(`network ${prefix}`, name);
  return [...wrong, ...forgotten(marks, found)];
}

/** What SQLite says of the file and its references. */
function unsound(path: string): string[] {
  const db = new SQLite(path, { readonly: true });
  try {
    const integrity = db.pragma('integrity_check', { simple: true });
    const dangling = db.pragma('foreign_key_check') as unknown[];
    return [
      ...(integrity === 'ok' ? [] : [`integrity_check: ${integrity}`]),
      ...(dangling.length === 0 ? [] : [`foreign_key_check: ${dangling.length} rows`]),
    ];
  } finally {
    db.close();
  }
}

async function* rowsOf<Row>(serving: Serving, list: string): AsyncGenerator<Row> {
  let after: string | undefined;
  do {
    const input = { limit: 1_000, ...(after !== undefined && { after }) };
    const page = await serving.run<{ rows: Row[]; next?: string }>(list, input);
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}
