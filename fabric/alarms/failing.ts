import { fromHex, toHex } from '../../protocol/bytes.ts';
import type { Alarms, FailurePlace, Finding } from '../registry/alarms.ts';
import type { OwnedReader } from '../registry/registry.ts';
import { ownTurn } from '../registry/turns.ts';

/** The part of a group that makes an alarm if it reports one failure, and how many devices at least. */
const SHARE = 0.1;
const LEAST = 2;
/** Of one kind no more are open. */
const MOST = 50;
/** Failures of groups that are counted: a device can report any code. */
const MOST_COUNTED = 10_000;

/** Groups of which a tenth has reported the same failure since a time; what takes longer than a turn of the event loop is done in parts. */
export async function failing(
  registry: Pick<OwnedReader, 'group' | 'groupNumbers'> & Pick<Alarms, 'failures'>,
  since: number,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const sizes = new Map<string, number>();
  for (const [subject, times] of await counted(registry, since)) {
    if (times < LEAST || found.length === MOST) break;
    const [gid, code] = subject.split(' ') as [string, string];
    const devices = sizes.get(gid) ?? (await registry.groupNumbers(fromHex(gid))).devices;
    sizes.set(gid, devices);
    if (times < devices * SHARE) continue;
    const { name, owner } = await registry.group(gid);
    found.push({ kind: 'device.failing', owner, subject, detail: { name, code, times, devices } });
  }
  return found;
}

/** How many devices have reported what since then, by the group's id and the code, the most frequent first. */
async function counted(registry: Pick<Alarms, 'failures'>, since: number): Promise<[string, number][]> {
  const counts = new Map<string, number>();
  let after: FailurePlace | undefined;
  do {
    const { rows, next } = await registry.failures(since, after);
    for (const { gid, code } of rows) {
      const key = `${toHex(gid)} ${code}`;
      const times = counts.get(key);
      if (times !== undefined || counts.size < MOST_COUNTED) counts.set(key, (times ?? 0) + 1);
    }
    after = next;
    await ownTurn();
  } while (after !== undefined);
  return [...counts].sort(([, one], [, other]) => other - one);
}
