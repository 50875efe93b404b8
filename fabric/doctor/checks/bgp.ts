import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import { type Check, onItsHost } from '../check.ts';

/** Named at most. */
const MOST_NAMED = 3;

export const bgp: Check = {
  id: 'bgp',
  about: 'BIRD runs, and has a session with each of the other nodes',
  run: (probes) =>
    onItsHost(probes, async ({ routes }) => {
      if (routes === undefined)
        return skipped('this host tells no other node of its tunnels (routes.install is off)');
      const { bird } = routes;
      if (bird === undefined) return skipped('nobody asks BIRD (routes.bird-socket is empty)');
      const sessions = await probes.bgpSessions(bird.socket);
      if (sessions === undefined)
        return failed(
          `BIRD does not run, nothing is at ${bird.socket}: no other node learns which devices are here`,
          'apt install bird2; systemctl start bird',
        );
      if (sessions.length === 0)
        return failed(
          'BIRD has no session with another node',
          'Give it the configuration that "enf-fabric bgp config" prints.',
        );
      const down = sessions.filter(({ established }) => !established);
      if (down.length === 0 && bird.failing !== null)
        return warning(
          `BIRD has its sessions, but the fabric cannot see that: ${bird.failing}`,
          'adduser enf-fabric bird && systemctl restart enf-fabric',
        );
      if (down.length === 0) return ok(`BIRD has sessions with ${counted(sessions.length, 'other node')}`);
      const named = down.slice(0, MOST_NAMED).map(({ node, state }) => `${node} (${state || 'down'})`);
      const more = down.length > MOST_NAMED ? ` and ${down.length - MOST_NAMED} more` : '';
      return failed(
        `no session with ${named.join(', ')}${more}`,
        'See whether that node runs and is reached, TCP port 179 and UDP 3784 between the nodes, and "birdc show protocols all".',
      );
    }),
};
