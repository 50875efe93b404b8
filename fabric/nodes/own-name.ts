import { Failure } from '../../protocol/failure.ts';
import { isNodeName } from '../registry/nodes.ts';

/**
 * The name of this fabric among the nodes of its registry; empty: it serves alone. Others may serve a registry on a server, and have to know of each other:
 * there the first label of the host's name counts unless one is given. @throws Failure `config.no-node-name`
 */
export function ownName(given: string, isOnServer: boolean, host: string): string {
  if (given !== '' || !isOnServer) return given;
  const label = host.split('.', 1)[0]!.toLowerCase();
  if (isNodeName(label)) return label;
  throw new Failure(
    'config.no-node-name',
    'operator',
    `each fabric on a registry on PostgreSQL has a name, and that of this host cannot be one: ${JSON.stringify(host)}`,
    { action: 'Give it a name of its own: "[node] name" in fabric.toml.' },
  );
}
