import { primitives } from '../../crypto/primitives.ts';
import type { openDhcpSocket } from '../../os/net/dhcp-socket.ts';
import { tokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import { parseDhcpRequest } from '../../protocol/dhcpv6.ts';
import { newestMap } from '../../protocol/newest-map.ts';
import { answerDhcp, type DhcpOffer } from './dhcp-answer.ts';

/** Answers machines on a LAN. */
export interface DhcpServer {
  close(): void;
}

/** What is offered; `key`: 32 bytes from which the addresses of machines follow. */
export type DhcpService = Pick<DhcpOffer, 'prefix' | 'addresses' | 'dns' | 'lifetimes'> & {
  readonly key: Uint8Array;
};

/** Of all machines on the LAN together: what is more is not looked at, and they ask again. */
const RATE = { burst: 100, periodMs: 20 };
/** Addresses that are remembered as others'; of more, those that were said first are forgotten. */
const MOST_TAKEN = 256;

/** Answers on the interface until it is closed. @throws Failure `os.no-dhcp-socket` */
export async function openDhcpServer(
  name: string,
  { key, ...service }: DhcpService,
  open: typeof openDhcpSocket,
): Promise<DhcpServer> {
  const rate = tokenBuckets(RATE, undefined, 1);
  const taken = newestMap<string, true>(MOST_TAKEN);
  const offer: DhcpOffer = {
    ...service,
    mac: (...parts) => primitives.hmacSha256(key, ...parts),
    isTaken: (address) => taken.get(toHex(address)) === true,
  };
  const socket = await open(name, (from, message) => {
    if (rate.take(name) > 0) return;
    const request = parseDhcpRequest(message);
    const answer = request && answerDhcp(request, offer);
    if (answer === undefined) return;
    for (const address of answer.taken) taken.set(toHex(address), true);
    socket.send(answer.message, from);
  });
  return { close: () => socket.close() };
}
