/** Connects as the agent does: `dialchild.mjs MARK HOST PORT`. Prints the address that was reached, or the failure's code. */
import { endpointsOf } from '../../../os/net/choice.ts';
import { dial } from '../../../os/net/dial.ts';
import { systemLookup } from '../../../os/net/lookup.ts';
import { markedLookup } from '../../../os/net/resolver.ts';
import type { Failure } from '../../../protocol/failure.ts';

const [mark, host, port] = process.argv.slice(2) as [string, string, string];
try {
  const lookup = Number(mark) === 0 ? systemLookup : markedLookup(Number(mark));
  const where = { hosts: [host], port: Number(port), lookup, timeoutMs: 4_000 };
  const hosts = await endpointsOf({ ...where, chance: Math.random });
  const socket = await dial({ ...where, hosts, mark: Number(mark) });
  console.log(socket.remoteAddress);
} catch (error) {
  console.log((error as Failure).code);
}
process.exit(0);
