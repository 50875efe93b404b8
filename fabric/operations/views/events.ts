import { optional } from '../contract/input.ts';
import { count, hexOf, ipv6, prefix, shown } from '../contract/output.ts';
import { AuditView, HandshakeView } from './handshakes.ts';

/** What an event says, by its name. */
export const EVENTS = {
  device: shown({ address: ipv6('A device whose standing, key or tunnel has changed.') }),
  group: shown({ gid: hexOf(32, 'A group that has changed; that is a change of all its devices, too.') }),
  network: shown({ prefix: prefix('A network that has changed.') }),
  handshake: shown({
    ...HandshakeView.properties,
    skipped: optional(count('So many handshakes before it are left out.')),
  }),
  audit: AuditView,
};
