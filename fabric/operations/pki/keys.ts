import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { isPublicKey } from '../../../protocol/crypto/ecdsa.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, matches, parseIpv6 } from '../../../protocol/ipv6.ts';
import { optional, text } from '../contract/input.ts';
import { type Changed, isoTime, operation } from '../contract/operation.ts';
import type { RegisteredView } from '../views/pki.ts';

/** An uncompressed point in hex, and more to say what is wrong with it. */
const KEY = text(200);

/**
 * Registers the public key of a machine with neither a chip nor a CA: with a certificate around it that names the address, whoever signed that, it
 * has a tunnel. That it holds the key it proves to the router each time it connects; here nothing proves it. Repeated, it is the same device.
 * @throws Failure `fabric.bad-key`, `fabric.other-network`, `ipv6.bad-address`, and those of `OwnedRegistry.registerKey`
 */
export const registerKey = operation<
  { network: string; address?: string | undefined; key: string },
  Changed<RegisteredView>
>(
  'device-register',
  { network: text(64), address: optional(text(64)), key: KEY },
  async ({ registry, running, actor }, { network: given, address: asked, key: digits }) => {
    const network = await registry.network(given);
    const address = asked === undefined ? undefined : parseIpv6(asked);
    if (address !== undefined && !matches(network, address)) {
      throw new Failure(
        'fabric.other-network',
        'operator',
        `${formatIpv6(address)} is not in the network ${formatPrefix(network)}`,
        { action: 'Give an address of that network, or none.' },
      );
    }
    const key = keyOf(digits);
    const device = await registry.registerKey(actor, {
      network,
      key,
      ...(address !== undefined && { address }),
    });
    const view = {
      address: formatIpv6(device.address),
      network: formatPrefix(device.network),
      key: toHex(device.longtermKey),
      created: isoTime(device.created),
      registered: isoTime(device.handshake.at),
    };
    return { view, effect: await running.notify() };
  },
);

/** @throws Failure `fabric.bad-key` */
function keyOf(digits: string): Uint8Array {
  const key = /^04[0-9a-f]{128}$/i.test(digits) ? fromHex(digits.toLowerCase()) : undefined;
  if (key !== undefined && isPublicKey(key)) return key;
  throw new Failure(
    'fabric.bad-key',
    'operator',
    'the key is no point of P-256, uncompressed, in 130 hex digits that begin with 04',
    { action: 'Give the public key of the machine, as "openssl ec -pubin -text" prints it.' },
  );
}
