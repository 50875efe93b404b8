import type { TlsAnswer } from '../../../os/net/probe.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Probes } from '../probes.ts';
import { targetRouters } from '../targets.ts';

/** A TLS handshake with the tunnel's port of each address that accepts a connection. */
export async function handshakes(
  probes: Probes,
  large = false,
): Promise<readonly { readonly address: string; readonly answer: TlsAnswer }[]> {
  const answers: { address: string; answer: TlsAnswer }[] = [];
  for (const { address, port } of await targetRouters(probes)) {
    try {
      answers.push({ address, answer: await probes.tls(address, port, large) });
    } catch (error) {
      if (!isFailure(error) || error.area !== 'net') throw error;
    }
  }
  return answers;
}
