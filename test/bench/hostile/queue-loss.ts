import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { pathOf } from '../../../fabric/pki/files.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { udp } from '../../fabric/packets.ts';
import { wholeOf } from '../../fabric/place.ts';
import { enrol, list, neighbours } from '../router/devices.ts';
import { median } from '../statistics.ts';
import type { Attack } from './attack.ts';
import { end, type Place, percentReceived, withPlace } from './sharing.ts';

const CROWD = 240;
const PACKET_BYTES = 1_222;
/** Of the pair whose loss is measured, 50 Mbit/s. One of them reads in turns, so that a quarter of a megabyte has to wait. */
const PAIR_PER_SECOND = 5_000;
/** What keeps the crowd's queues full. */
const CROWD_PER_SECOND = 2_000;
const FILLING_SECONDS = 60;
/** In turns, so that whatever else the machine does meets both alike. */
const ROUNDS = 3;

/** What devices of a network that read nothing cost those of another: one thread has them all. */
export const queueLoss: Attack = {
  id: 'A3',
  title: `${CROWD} devices of another network read nothing`,
  async measure({ seconds }, say) {
    return withPlace([], async (place) => {
      const { fabric, group, serving } = place;
      const pair = neighbours(fabric, await enrol(fabric, group, 2), PACKET_BYTES);
      const crowd = await listCrowd(place);
      return serving(async (start) => {
        const loss = async (): Promise<number> =>
          100 - (await percentReceived(start('pair', pair, seconds, PAIR_PER_SECOND)));
        const [losses, lossesUnder]: [number[], number[]] = [[], []];
        for (let round = 1; round <= ROUNDS; round++) {
          say(`round ${round}/${ROUNDS}: without`);
          losses.push(await loss());
          say(`round ${round}/${ROUNDS}: with`);
          const hostile = start('crowd', crowd, seconds + FILLING_SECONDS, CROWD_PER_SECOND);
          await Promise.race([once(hostile.stdout!, 'data'), once(hostile, 'exit')]);
          lossesUnder.push(await loss());
          await end(hostile);
        }
        const [without, under] = [median(losses)!, median(lossesUnder)!];
        return [
          {
            what: 'loss of a device of another network',
            unit: '%',
            without,
            with: under,
            must: { atMost: without + 1 },
          },
        ];
      });
    });
  },
};

/** The devices of a second network, of which the first one sends to all others. */
async function listCrowd({ fabric }: Place): Promise<string> {
  const network = parsePrefix('fd00:8f80:8000:2::/64');
  const gid = new Uint8Array(randomBytes(32));
  const registry = wholeOf(await openRegistry(pathOf(fabric.data, 'registry')));
  try {
    await registry.addNetwork('bench', network, '');
    await registry.addGroup('bench', {
      gid,
      gpk: new Uint8Array(randomBytes(258)),
      basename: new Uint8Array(8),
      name: 'crowd',
      network,
    });
  } finally {
    await registry.close();
  }
  const devices = await enrol(fabric, { gid }, CROWD + 1, 'crowd');
  const sender = devices[0]!.address;
  return list(fabric, 'crowd', devices, ({ address }) => udp(sender, address, 1, PACKET_BYTES - 48));
}
