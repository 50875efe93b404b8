import { failed, ok, skipped } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { type Check, whileServing } from '../check.ts';

export const ports: Check = {
  id: 'ports',
  about: 'identity server and tunnel router accept connections',
  run: (probes) =>
    whileServing(probes, async ({ identity, tunnel }) => {
      const all = [
        ...(identity === null ? [] : [{ what: 'identity server', listen: identity }]),
        ...(tunnel === null ? [] : [{ what: 'tunnel router', listen: tunnel }]),
      ];
      if (all.length === 0) return skipped('devices do not come to this host (node.serves)');
      for (const { what, listen } of all) {
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
      return ok(
        `${all.map(({ listen }) => listen).join(' and ')} ${all.length === 1 ? 'accepts' : 'accept'} connections`,
      );
    }),
};
