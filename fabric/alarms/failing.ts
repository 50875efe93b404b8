import { fromHex, toHex } from '../../protocol/bytes.ts';
import type { Alarms, FailurePlace, Finding } from '../registry/alarms.ts';
import type { OwnedReader } from '../registry/registry.ts';
import { ownTurn } from '../registry/turns.ts';

/** The part of a group that makes an alarm if it reports one failure, and how many devices at least. */
const SHARE = 0.1;
const LEAST = 2;
/** Of one kind no more are open for an owner. */
const MOST = 50;
/** Failures of groups that are counted: a device can report any code. So many are in any case of each owner. */
const MOST_COUNTED = 10_000;
const LEAST_OF_OWNER = 100;

/** Groups of which a tenth has reported the same failure since a time; what takes longer than a turn of the event loop is done in parts. */
export async function failing(
  registry: Pick<OwnedReader, 'group' | 'groupNumbers'> & Pick<Alarms, 'failures'>,
  since: number,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const sizes = new Map<string, number>();
  const ofOwner = new Map<number, number>();
  for (const [subject, { times, owner }] of await counted(registry, since)) {
    if (times < LEAST) break;
    const own = ofOwner.get(owner) ?? 0;
    if (own === MOST) continue;
    const [gid, code] = subject.split(' ') as [string, string];
    const devices = sizes.get(gid) ?? (await registry.groupNumbers(fromHex(gid))).devices;
    sizes.set(gid, devices);
    if (times < devices * SHARE) continue;
    const { name } = await registry.group(gid);
    ofOwner.set(owner, own + 1);
    found.push({ kind: 'device.failing', owner, subject, detail: { name, code, times, devices } });
  }
  return found;
}

interface Counted {
  times: number;
  readonly owner: number;
}

/** How many devices have reported what since then, by the group's id and the code, the most frequent first. */
async function counted(registry: Pick<Alarms, 'failures'>, since: number): Promise<[string, Counted][]> {
  const counts = new Map<string, Counted>();
  const ofOwner = new Map<number, number>();
  let after: FailurePlace | undefined;
  do {
    const { rows, next } = await registry.failures(since, after);
    for (const { gid, owner, code } of rows) {
      const key = `${toHex(gid)} ${code}`;
      const known = counts.get(key);
      const own = ofOwner.get(owner) ?? 0;
      if (known !== undefined) known.times++;
      else if (counts.size < MOST_COUNTED || own < LEAST_OF_OWNER) {
        counts.set(key, { times: 1, owner });
        ofOwner.set(owner, own + 1);
      }
    }
    after = next;
    await ownTurn();
  } while (after !== undefined);
  return [...counts].sort(([, one], [, other]) => other.times - one.times);
}
