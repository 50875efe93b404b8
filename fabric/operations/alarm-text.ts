import { counted } from '../../protocol/words.ts';
import type { AlarmKind, Finding } from '../registry/alarms.ts';

/** What an alarm means, and what to do: a sentence each. */
export function alarmText({ kind, subject, detail }: Finding): {
  readonly what: string;
  readonly action: string;
} {
  const of = (name: string): string => String(detail[name] ?? '?');
  const number = (name: string): number => Number(detail[name] ?? 0);
  const carried = detail.tunnels !== undefined;
  const times = number('times') === 1 ? 'Once' : `${number('times').toLocaleString('en')} times`;
  const TEXTS: Readonly<Record<AlarmKind, readonly [what: string, action: string]>> = {
    'group.over-announced': [
      `${counted(number('devices'), 'device')} of "${of('name')}" came, ${counted(number('announced'), 'is', 'are')} expected.`,
      'Somebody has issued more credentials than were announced: ask the factory, or suspend the group.',
    ],
    'group.knocking': [
      `Devices knock that say they belong to the group ${subject.slice(0, 20)}, which is not admitted.`,
      'If they are yours, scan their label. If not, nothing has to be done: they do not get in.',
    ],
    'group.over-limit': [
      `${times} a further device of "${of('name')}" was refused: the group has as many as it may have.`,
      'If more are yours, raise its limit. If not, somebody has issued more credentials: ask the factory.',
    ],
    'country.unexpected': [
      `${times} a new device of "${of('name')}" came from ${of('countries')} and was refused.`,
      'If it is yours, add the country to those of the group. If not, find out who has the device.',
    ],
    'claim.objection': [
      detail.by === undefined
        ? `Somebody else who holds the label of "${of('name')}" tries to claim it.`
        : `The owner "${of('by')}" holds the label of "${of('name')}", and another owner has claimed that.`,
      'Find out whose devices these are. If they are not of who has the batch, that owner removes it, and the other one claims it.',
    ],
    'group.off-roster': [
      `${times} a member of "${of('name')}" that is not on its roster was refused.`,
      "Somebody may have the issuer's key: ask the maker. They do not get in.",
    ],
    'device.failing': [
      `${of('times')} of ${counted(number('devices'), 'device')} of "${of('name')}" ${number('times') === 1 ? 'reports' : 'report'} ${of('code')} within an hour.`,
      'Look the code up in docs/errors.md: what so many have in common is mostly not the devices.',
    ],
    'device.two-countries': [
      `${subject} shook hands from ${of('from')} and, within a day, from ${of('to')}.`,
      'If it did not travel, its credential is in other hands: ban it.',
    ],
    'device.twins': [
      `Two devices have the key of ${subject}.`,
      'Evict it: only the one that has the credential comes back.',
    ],
    'fleet.dropped': [
      `Of ${counted(number('before'), 'tunnel')} ${counted(number('now'), 'is', 'are')} left within five minutes.`,
      'Look at the uplink of this host and at the places of those that are gone.',
    ],
    'certificate.expiring': [
      `The certificate ${subject} ends ${of('ends')}.`,
      'Make it anew before that: without it no device gets in.',
    ],
    'ca.expiring': [
      `${subject} "${of('name')}" ends ${of('ends')}: then none of its machines gets in.`,
      detail.issuing === true
        ? 'Renew it with "enf-fabric pki renew": machines notice nothing. Until then its certificates end with it.'
        : 'Add the one that takes its place with "enf-fabric pki add" before.',
    ],
    'token.expiring': [
      `The token "${of('name')}" (${subject}) ends ${of('expires')}.`,
      'Make another one for whoever uses it, or let it end.',
    ],
    'crl.expiring': [
      detail.ends === undefined
        ? `The list of revoked certificates of "${of('name')}" could not be fetched: ${of('error')}.`
        : `The list of revoked certificates of "${of('name')}" ${detail.overdue ? 'was' : 'is'} due to be followed by ${of('ends')}${detail.error === undefined ? '' : `, and could not be fetched: ${of('error')}`}.`,
      `It goes on counting, and whoever was revoked since comes in: see enf-fabric pki show ${subject.slice(3)}, or give a newer one (enf-fabric pki crl).`,
    ],
    'registry.behind': [
      `The registry lacks entries that were written: ${of('message')}.`,
      'It was put back to an older copy: restore the newest backup, or accept the loss.',
    ],
    'registry.failover': [
      `Another database server took over without the last changes: at least ${counted(number('missing'), 'entry of the audit trail is', 'entries of the audit trail are')} lost, of the time from ${of('since')} to ${of('until')}.`,
      'Repeat bans, evictions and other changes of that time, and tell the owners, who may have made some; then acknowledge this. With a standby in synchronous_standby_names nothing is lost (docs/scale.md).',
    ],
    'registry.two-primaries': [
      `${of('servers')} take changes at once: what is written to one, the others lack. ${detail.used === undefined ? 'None of them is used' : `This fabric uses ${of('used')}`}.`,
      'Stop the one that was replaced, and make it a standby of the other; what promotes a standby has to stop the former primary first. See enf-fabric doctor on each node.',
    ],
    'registry.server-lost': [
      `There is no connection to the database server ${subject} since ${of('since')}: ${of('why')}.`,
      'See whether it runs and is reached: enf-fabric doctor. While it is away nothing takes the place of the one that is used. If it is gone for good, remove its address from registry.url on each node, and restart the fabric there.',
    ],
    'registry.standby-behind': [
      `The standby ${subject} lacks what was written by ${of('since')}${detail.bytes === undefined ? ', and follows another database' : `, ${Math.ceil(number('bytes') / 1_048_576).toLocaleString('en')} MB of log`}.`,
      'See on it whether it still receives the log (pg_stat_wal_receiver) and carries it out (pg_is_wal_replay_paused): if it took over now, what it lacks would be lost.',
    ],
    'disk.full-soon': [
      `The disk of ${subject} has ${Math.floor(Number(detail.free ?? 0) / 1_048_576)} MB left.`,
      'Free some: when it is full, nobody is admitted and nothing is changed.',
    ],
    'places.old': [
      `The database of places ${subject} (${of('source')}) was made ${of('made')}.`,
      'Put a newer one in its place, then systemctl reload enf-fabric; the one of the program comes with newer versions. Addresses change hands, and places are wrong by and by.',
    ],
    'node.lost': [
      `The node ${subject} was last heard ${of('seen')}${carried ? `, with ${counted(number('tunnels'), 'tunnel')}` : ''}.`,
      `Look at its host, and whether it reaches the registry.${carried ? ' Its devices come back at other nodes by themselves.' : ''} If it is gone for good: enf-fabric node remove ${subject}.`,
    ],
    'node.draining': [
      `The node ${subject} drains since ${of('since')}${carried ? `, and ${counted(number('tunnels'), 'device is', 'devices are')} still there` : ''}.`,
      `Upgrade or stop its host, or end that: enf-fabric node resume ${subject}.`,
    ],
    'node.routes-lost': [
      `No other node learns since ${of('since')} which devices the node ${subject} has, ${counted(number('tunnels'), 'tunnel')}: BIRD does not run there, or has its session with no other node.`,
      `Look there: enf-fabric doctor, and journalctl -u bird. Devices go to other nodes that are better off, and may stay again by themselves. If something else carries the routes there, set routes.bird-socket = "" in its fabric.toml.`,
    ],
    'audit.broken': [
      `The audit trail does not verify: ${of('message')}.`,
      'Something else than the fabric has changed the registry: keep a copy of it, and compare it with a backup (enf-fabric audit says which entry).',
    ],
    'backup.old': [
      detail.made === undefined ? 'No backup was ever made.' : `The newest backup was made ${of('made')}.`,
      'Make one each day (enf-fabric backup create): without its keys no device finds the fabric again.',
    ],
  };
  const [what, action] = TEXTS[kind];
  return { what, action };
}
