import { failed, failing, ok, skipped } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';
import { handshakes } from './handshakes.ts';

export const tls: Check = {
  id: 'tls',
  about: 'the router’s certificate chains to the TLS root',
  async run(probes) {
    let answers: Awaited<ReturnType<typeof handshakes>>;
    try {
      answers = await handshakes(probes);
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (error.area === 'tpm') return skipped('the TLS root is in the TPM, which does not answer');
      return failing(error);
    }
    if (answers.length === 0) return skipped('no router can be reached');
    const trusted = answers.find(({ answer }) => answer.verdict === 'trusted');
    if (trusted) {
      return ok(
        `${trusted.address} is a router of this fabric; handshake in ${Math.round(trusted.answer.handshakeMs)} ms`,
      );
    }
    const { address, answer } = answers[0]!;
    const reason = answer.reason ?? 'unknown';
    switch (answer.verdict) {
      case 'dated':
        return failed(
          `by this device’s clock the certificate of ${address} is not valid (${reason})`,
          'Set the clock; if it is right, renew the router’s certificate.',
        );
      case 'misnamed':
        return failed(
          `the certificate of ${address} is signed by the configured root, but is no router’s (${reason})`,
          'Give the router a certificate with that name and serverAuth, or set remote.tls-name.',
        );
      case 'foreign':
        return failed(
          `${address} is not a router of this fabric (${reason}); its certificate is signed by ${answer.issuer ?? 'an unnamed issuer'}`,
          'Log in on this network, exempt the fabric from inspection, or correct remote.hosts or the TLS root.',
        );
      default:
        return failed(
          `no handshake with ${address}: ${reason}`,
          'Check that host and port are the router’s; its log says more.',
        );
    }
  },
};
