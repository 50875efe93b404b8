import { DUTIES, NODE_STATES } from '../../registry/nodes.ts';
import {
  CHANGED,
  count,
  listOf,
  load,
  named,
  orNull,
  type Shown,
  time,
  wordOf,
  words,
} from '../contract/output.ts';

/** A node; times are ISO 8601 in UTC. */
export const NodeView = named('Node', 'One of the hosts that serve this registry together.', {
  name: words('Its name.', 'a'),
  address: orNull(words('Where other nodes reach it; null: it was not said.', '2001:db8::1')),
  version: words('The version of its program.', '0.1.0'),
  state: wordOf(
    NODE_STATES,
    '`draining`: devices are to leave it; `routes-lost`: no other node learns which devices it has; `lost`: it has said nothing for 15 s; `stopped`: it has said that it stops.',
  ),
  started: time('When its program was started.'),
  seen: time('When it last said that it serves, which it does every 5 s.'),
  draining: orNull(
    time('Since when devices are to leave it, also while it does not serve; null: they are not.'),
  ),
  serves: listOf(wordOf(DUTIES, 'What it serves.')),
  routesLost: orNull(
    time('Since when no other node learns which devices it has, as it said last; null: they do.'),
  ),
  tunnels: orNull(
    count('Devices whose tunnels ended there when it was last seen; null: it serves no tunnels.'),
  ),
  load: load('Its load average over a minute then.'),
});
export type NodeView = Shown<typeof NodeView>;

export const DrainingView = named('Draining', 'A node, and whether that was new.', {
  ...NodeView.properties,
  changed: CHANGED,
});
export type DrainingView = Shown<typeof DrainingView>;

export const RemovedNodeView = named('RemovedNode', 'A node that is forgotten.', {
  name: words('Its name.', 'a'),
});
export type RemovedNodeView = Shown<typeof RemovedNodeView>;
