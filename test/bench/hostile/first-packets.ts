import { execFileSync } from 'node:child_process';
import { concat } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { icmp6Checksum } from '../../../protocol/tunnel/icmp6.ts';
import { encodePacket6 } from '../../../protocol/tunnel/packet.ts';
import { ECHO_REQUEST, ICMPV6 } from '../../../protocol/tunnel/wire.ts';
import { enrol, list } from '../router/devices.ts';
import type { Attack } from './attack.ts';
import { end, percentReceived, withPlace } from './sharing.ts';

const HONEST = 3;
const SCANNED_PER_SECOND = 20_000;
/** So long the scan is under way before anything is measured, and after that. */
const MARGIN_SECONDS = 3;
/** The host answers for these addresses of the network, as a server with many services would; nobody has those. */
const SERVICES = 'fd00:8f80:8000:1:1::';
const NOWHERE = 'fd00:8f80:8000:1:2::';

/** What a device that scans the addresses of its network costs the first packets of others: one thread has them all. */
export const firstPackets: Attack = {
  id: 'A3',
  title: 'one device scans addresses',
  async measure({ seconds }, say) {
    const tun = `enfb${process.pid}`.slice(0, 15);
    return withPlace(['--tun', tun], async ({ fabric, group, serving }) => {
      const devices = await enrol(fabric, group, HONEST + 1);
      const pings = list(fabric, 'pings', devices.slice(0, HONEST), ({ address }) => echo(address, SERVICES));
      const scan = list(fabric, 'scan', devices.slice(HONEST), ({ address }) => echo(address, NOWHERE));
      return serving(async (start) => {
        // The table of local addresses comes before the network's route to the TUN.
        const local = ['-6', 'route', 'add', 'local', `${SERVICES}/80`, 'dev', 'lo'];
        execFileSync('ip', local);
        try {
          say('without');
          const without = await percentReceived(start('first', pings, seconds));
          say(`with ${SCANNED_PER_SECOND} packets a second to nowhere`);
          const scanner = start('scan', scan, seconds + 2 * MARGIN_SECONDS, SCANNED_PER_SECOND);
          await new Promise((resolve) => setTimeout(resolve, MARGIN_SECONDS * 1_000));
          const under = await percentReceived(start('first', pings, seconds));
          await end(scanner);
          return [
            {
              what: 'first packets of others answered',
              unit: '%',
              without,
              with: under,
              must: { atLeast: 99 },
            },
          ];
        } finally {
          execFileSync('ip', local.with(2, 'del'));
        }
      });
    });
  },
};

/** An echo request that sharing.c sends to other addresses: their last 32 bits, inverted, are its identifier and sequence. */
function echo(from: Uint8Array, to: string): Uint8Array {
  const destination = parseIpv6(to);
  const message = concat(Uint8Array.of(ECHO_REQUEST, 0, 0, 0), new Uint8Array(4).fill(0xff));
  const sum = icmp6Checksum(from, destination, message);
  message.set([sum >> 8, sum & 0xff], 2);
  return encodePacket6(ICMPV6, from, destination, message);
}
