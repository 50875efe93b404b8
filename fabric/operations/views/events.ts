import { optional } from '../contract/input.ts';
import { count, hexOf, ipv6, prefix, shown, words } from '../contract/output.ts';
import { AuditView, HandshakeView } from './handshakes.ts';

/** What an event says, by its name. */
export const EVENTS = {
  device: shown({ address: ipv6('A device whose standing, key or tunnel has changed.') }),
  group: shown({ gid: hexOf(32, 'A group that has changed; that is a change of all its devices, too.') }),
  network: shown({ prefix: prefix('A network that has changed.') }),
  node: shown({
    name: words('A node that has joined, stopped, drains, does not drain any more, or is gone.', 'a'),
  }),
  handshake: shown({
    ...HandshakeView.properties,
    skipped: optional(count('So many handshakes before it are left out.')),
  }),
  audit: AuditView,
};
