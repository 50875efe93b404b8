import { formatPrefix, parseIpv6, prefixOf } from '../../../protocol/ipv6.ts';
import { badInput } from '../../operations/contract/input.ts';
import type { Call } from './call.ts';
import { addressAlone, upperKey } from './quirks.ts';

interface EndpointBody {
  readonly ecdsa_credential: { readonly type: 'ecdsa_p256'; readonly key: string };
  readonly address_request: { readonly address?: string; readonly network?: string };
}

/**
 * Registers the key of enftun-keygen, which makes a certificate of the address for itself then. The request proves nothing of the key: who may
 * register it says whose it is, and the router has it proved at each connection.
 */
export async function createEndpoint(call: Call) {
  const { ecdsa_credential, address_request } = call.body as unknown as EndpointBody;
  const { address: asked, network: within } = address_request;
  if ((asked === undefined) === (within === undefined))
    throw badInput('address_request', 'has to have an address or a network, one of them');
  const address = asked === undefined ? undefined : addressAlone(asked);
  if (asked !== undefined && address === undefined) throw badInput('address', 'has to be one address');
  const network = within ?? formatPrefix(prefixOf(parseIpv6(address!), 64));
  const { view } = await call.run('device-register', {
    network,
    key: ecdsa_credential.key,
    ...(address !== undefined && { address }),
  });
  const { type } = ecdsa_credential;
  return {
    address: view.address,
    network: view.network,
    creation_timestamp: view.created,
    modification_timestamp: view.registered,
    active_credentials: { body: [{ type, key: upperKey(view.key), creation_timestamp: view.registered }] },
  };
}
