import type { Log } from '../../os/service/log.ts';
import type { Nodes } from '../registry/nodes.ts';
import { eachRow } from '../registry/pages.ts';

/** Warns if nodes serve the registry that a fabric without a name begins to serve: they would hear nothing of its tunnels, and it nothing of theirs. */
export async function warnOfNodes(nodes: Pick<Nodes, 'nodes'>, log: Log): Promise<void> {
  for await (const { name, state } of eachRow(nodes.nodes)) {
    if (state === 'lost' || state === 'stopped') continue;
    log(
      'warning',
      `node ${name} serves this registry, too, and this host has no name: give each host of a registry a name of its own ([node] name), or devices have tunnels at both`,
    );
    return;
  }
}
