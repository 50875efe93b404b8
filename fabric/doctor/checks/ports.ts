import { failed, ok } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { type Check, whileServing } from '../check.ts';

export const ports: Check = {
  id: 'ports',
  about: 'identity server and tunnel router accept connections',
  run: (probes) =>
    whileServing(probes, async ({ identity, tunnel }) => {
      for (const [what, listen] of [
        ['identity server', identity],
        ['tunnel router', tunnel],
      ] as const) {
        try {
          await probes.connect(listen);
        } catch (error) {
          if (!isFailure(error)) throw error;
          return failed(
            `the ${what} at ${listen} cannot be reached from this host: ${error.message}`,
            'See whether a firewall of this host drops what it sends to itself, and what the fabric logs.',
          );
        }
      }
      return ok(`${identity} and ${tunnel} accept connections`);
    }),
};
