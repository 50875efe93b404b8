import type { AuditView } from '../../fabric/operations/views/handshakes.ts';
import type { AlarmKind } from '../../fabric/registry/alarms.ts';
import { counted } from '../../protocol/words.ts';

type Detail = Readonly<Record<string, unknown>>;
type Words = (entry: { readonly who: string; readonly subject: string; readonly detail: Detail }) => string;

const named = (detail: Detail, subject: string): string =>
  typeof detail.name === 'string' ? `“${detail.name}”` : subject.slice(0, 20);
const field = (detail: Detail, name: string): string => String(detail[name] ?? '?');
/** So many things as the detail says. */
const number = (detail: Detail, name: string, one: string): string =>
  typeof detail[name] === 'number' ? counted(detail[name], one) : `? ${one}s`;

/** At which owner, where that does not go without saying. */
const atOwner = ({ owner }: Detail): string => (typeof owner === 'string' ? ` of ${owner}` : '');

/** A group's id is too long to be read. */
const short = (subject: string): string => (subject.length > 45 ? `${subject.slice(0, 20)}…` : subject);

/** What a rule says: “deny in tcp/22, group:… with outside”. */
function ruleText(detail: Detail): string {
  const ports = typeof detail.ports === 'string' ? `/${detail.ports}` : '';
  const what = `${field(detail, 'action')} ${field(detail, 'direction')} ${field(detail, 'protocol')}${ports}`;
  return `${what}, ${short(field(detail, 'devices'))} with ${short(field(detail, 'with'))}`;
}

/** Who may have how much: “each device: 1,000 packets out, any number of bytes in”. */
function limitText(detail: Detail): string {
  const devices = field(detail, 'devices');
  const values = ['packets-in', 'bytes-in', 'packets-out', 'bytes-out'].flatMap((name) => {
    const value = detail[name];
    const [what, way] = name.split('-');
    if (typeof value !== 'number') return [];
    return [`${value === 0 ? 'any number of' : value.toLocaleString('en')} ${what} ${way}`];
  });
  return `${devices === 'any' ? 'each device' : short(devices)}: ${values.join(', ')}`;
}

/** What an alarm of each kind says of its subject. */
const ALARMS: Readonly<Record<AlarmKind, (of: string) => string>> = {
  'group.over-announced': (of) => `more devices of ${of} came than are expected`,
  'group.knocking': (of) => `devices knock that say they belong to ${of}, which is not admitted`,
  'claim.objection': (of) => `somebody else holds the label of ${of}, too`,
  'group.off-roster': (of) => `devices of ${of} want to come that are not on its roster`,
  'group.over-limit': (of) => `more devices of ${of} want to come than may`,
  'country.unexpected': (of) => `new devices of ${of} came from elsewhere than they may`,
  'device.failing': (of) => `many devices of ${of} report the same failure`,
  'device.two-countries': (of) => `${of} shook hands from two countries within a day`,
  'device.twins': (of) => `two devices have the key of ${of}`,
  'fleet.dropped': () => 'many devices lost their tunnels within minutes',
  'certificate.expiring': (of) => `the certificate ${of} ends soon`,
  'ca.expiring': (of) => `${of} ends soon`,
  'token.expiring': (of) => `the token ${of} ends soon`,
  'crl.expiring': (of) => `the list of revoked certificates of ${of} is about to end, or cannot be had`,
  'registry.behind': () => 'the registry lacks entries that were written',
  'registry.failover': () => 'changes were lost when another database server took over',
  'registry.two-primaries': () => 'several database servers take changes at once',
  'registry.server-lost': (of) => `there is no connection to the database server ${of}`,
  'registry.standby-behind': (of) => `the standby ${of} of the database is far behind`,
  'disk.full-soon': (of) => `the disk of ${of} is almost full`,
  'backup.old': () => 'the newest backup is old, or there is none',
  'places.old': (of) => `the database of places ${of} is old`,
  'node.lost': (of) => `the node ${of} says nothing any more`,
  'node.draining': (of) => `the node ${of} drains for long`,
  'node.routes-lost': (of) => `no other node learns which devices the node ${of} has`,
  'audit.broken': () => 'the audit trail does not verify',
};

function alarmed(subject: string, detail: Detail): string {
  const kind = field(detail, 'kind');
  const of = typeof detail.name === 'string' ? `“${detail.name}”` : short(subject);
  return Object.hasOwn(ALARMS, kind) ? ALARMS[kind as AlarmKind](of) : `${kind} for ${of}`;
}

/** What each action of the trail is in words. */
const WORDS: Readonly<Record<string, Words>> = {
  'fabric.init': ({ who }) => `${who} set the fabric up`,
  'fabric.restore': ({ who }) => `${who} put the registry back to an earlier state`,
  'registry.failover': ({ detail }) =>
    `the database went on without what came after audit entry ${field(detail, 'newest')}, up to ${field(detail, 'seen')}: it was lost when another server took over`,
  'certificate.rotate': ({ who, subject }) => `${who} replaced the certificate of the ${subject}`,
  'certificate.rotate-request': ({ who, subject }) => `${who} asked for a new certificate of the ${subject}`,
  'root.add': ({ who }) => `${who} made the next roots`,
  'root.add-request': ({ who }) => `${who} asked for the next roots`,
  'root.end': ({ who }) => `${who} declared the end of a root`,
  'root.end-request': ({ who }) => `${who} asked for the end of a root`,
  'roots.change': ({ who, detail }) => `${who} put version ${field(detail, 'version')} of the roots in force`,
  'job.start': ({ who, subject, detail }) =>
    `${who} began to ${field(detail, 'change')} many devices (${subject})`,
  'job.cancel': ({ who, subject }) => `${who} cancelled ${subject}`,
  'root.export': ({ who, subject }) => `${who} took the keys of ${subject} out of the fabric`,
  'network.add': ({ who, subject, detail }) =>
    `${who} added the network ${named(detail, subject)} (${subject})`,
  'network.rename': ({ who, subject, detail }) =>
    `${who} named the network ${subject} ${named(detail, subject)}`,
  'network.zone': ({ who, subject, detail }) =>
    detail.zone === null
      ? `${who} took the devices of ${subject} out of DNS`
      : `${who} gave the devices of ${subject} names below ${field(detail, 'zone')}`,
  'network.resident': ({ who, subject, detail }) =>
    detail.required === true
      ? `${who} let ${subject} take only devices whose chips keep their keys`
      : `${who} let ${subject} take devices whatever keeps their keys`,
  'network.pool': ({ who, subject, detail }) =>
    detail.pool === null
      ? `${who} took the prefixes for devices of ${subject} away`
      : `${who} gave the devices of ${subject} prefixes out of ${field(detail, 'pool')}`,
  'group.delegate': ({ who, subject }) =>
    `${who} granted each device of the batch ${short(subject)} a prefix`,
  'group.withdraw': ({ who, subject }) => `${who} withdrew the prefixes of the batch ${short(subject)}`,
  'device.delegate': ({ who, subject, detail }) =>
    detail.gid === undefined
      ? `${who} granted ${subject} the prefix ${field(detail, 'prefix')}`
      : `${subject} got the prefix ${field(detail, 'prefix')}, as its batch may`,
  'device.withdraw': ({ who, subject }) => `${who} withdrew the prefix of ${subject}`,
  'network.remove': ({ who, subject }) => `${who} removed the network ${subject}`,
  'rule.add': ({ who, subject, detail }) =>
    `${who} added ${subject} to ${field(detail, 'network')}: ${ruleText(detail)}`,
  'rule.move': ({ who, subject, detail }) =>
    `${who} moved ${subject} of ${field(detail, 'network')} from place ${field(detail, 'from')} to ${field(detail, 'to')}`,
  'rule.remove': ({ who, subject, detail }) =>
    `${who} removed ${subject} of ${field(detail, 'network')}: ${ruleText(detail)}`,
  'limit.set': ({ who, subject, detail }) =>
    `${who} set a rate limit in ${subject}, for ${limitText(detail)}`,
  'limit.remove': ({ who, subject, detail }) =>
    `${who} removed a rate limit in ${subject}, for ${limitText(detail)}`,
  'limit.max': ({ who, subject, detail }) =>
    `${who} set the most that devices in ${subject} may: ${limitText(detail)}`,
  'group.add': ({ who, subject, detail }) =>
    `${who} admitted the batch ${named(detail, subject)} to ${field(detail, 'network')}`,
  'group.change': ({ who, subject, detail }) => `${who} changed the batch ${named(detail, subject)}`,
  'group.remove': ({ who, subject, detail }) => `${who} removed the batch ${named(detail, subject)}`,
  'group.suspend': ({ who, subject, detail }) => `${who} suspended the batch ${named(detail, subject)}`,
  'group.resume': ({ who, subject, detail }) => `${who} resumed the batch ${named(detail, subject)}`,
  'roster.add': ({ who, subject, detail }) =>
    `${who} gave the batch ${named(detail, subject)} a roster of ${number(detail, 'devices', 'device')}`,
  'roster.remove': ({ who, subject, detail }) =>
    `${who} took the roster of the batch ${named(detail, subject)} away`,
  'roster.ban': ({ who, subject, detail }) =>
    `${who} banned ${number(detail, 'devices', 'device')} of the batch ${named(detail, subject)} before any came`,
  'roster.unban': ({ who, subject, detail }) =>
    `${who} unbanned ${number(detail, 'devices', 'device')} of the batch ${named(detail, subject)} before any came`,
  'device.admit': ({ subject, detail }) =>
    detail.ca === undefined
      ? `A new device proved its batch and got ${subject}`
      : `A machine with a certificate of CA ${field(detail, 'ca')} came as ${subject}`,
  'device.readmit': ({ subject, detail }) =>
    detail.ca === undefined
      ? `${subject} proved its batch again and is admitted`
      : `${subject} showed a newer certificate and is admitted`,
  'device.rekey': ({ subject }) => `${subject} made itself a new key`,
  'device.certificate': ({ subject }) => `${subject} showed another certificate of its CA`,
  'device.twins': ({ subject }) => `Two devices have the key of ${subject}`,
  'device.evict': ({ who, subject }) => `${who} evicted ${subject}`,
  'device.ban': ({ who, subject }) => `${who} banned ${subject}`,
  'device.unban': ({ who, subject }) => `${who} unbanned ${subject}`,
  'device.retire': ({ who, subject, detail }) =>
    detail.asked === 'device'
      ? `${subject} left for good: it asked to be retired`
      : `${who} retired ${subject} for good`,
  'device.replace': ({ who, subject, detail }) =>
    `${who} gave ${subject} to the chip that had ${field(detail, 'by')}`,
  'device.register': ({ who, subject, detail }) =>
    detail.before === undefined
      ? `${who} registered a key for ${subject}`
      : `${who} registered another key for ${subject}`,
  'device.name': ({ who, subject, detail: { name, note } }) =>
    [
      name === undefined
        ? `${who} changed what is noted of ${subject}`
        : name === ''
          ? `${who} took the name of ${subject} away`
          : `${who} named ${subject} “${name}”`,
      ...(name === undefined || note === undefined ? [] : [' and changed what is noted of it']),
    ].join(''),
  'device.moves': ({ subject, detail }) =>
    `${subject} shook hands from ${field(detail, 'from')} and, within a day, from ${field(detail, 'to')}`,
  'pki.add': ({ who, subject, detail }) => `${who} added CA ${subject}, ${named(detail, subject)}`,
  'pki.remove': ({ who, subject, detail }) => `${who} removed CA ${subject}, ${named(detail, subject)}`,
  'pki.import': ({ who, subject, detail }) =>
    `${who} listed ${number(detail, 'devices', 'device')} of CA ${subject}`,
  'pki.crl': ({ who, subject, detail }) =>
    `${who} gave CA ${subject} a list of ${number(detail, 'entries', 'revoked certificate')}`,
  'pki.crl-from': ({ who, subject, detail: { from } }) =>
    from === undefined
      ? `${who} ended that the list of revoked certificates of CA ${subject} is fetched`
      : `${who} has the list of revoked certificates of CA ${subject} fetched from ${from}`,
  'pki.revoke': ({ who, subject, detail }) =>
    `${who} revoked the certificate ${field(detail, 'serial')} of CA ${subject}: ${field(detail, 'reason')}`,
  'pki.create': ({ who, subject, detail }) =>
    `${who} made CA ${subject}, ${named(detail, subject)}, which issues certificates`,
  'pki.renew': ({ who, subject, detail }) =>
    `${who} made another certificate for CA ${subject}, ${named(detail, subject)}`,
  'pki.code': ({ who, subject, detail }) =>
    `${who} made ${subject} for a certificate in ${field(detail, 'network')}`,
  'pki.code-withdraw': ({ who, subject }) => `${who} withdrew ${subject}`,
  'pki.enrols': ({ who, subject, detail: { network } }) =>
    network === undefined
      ? `${who} ended that machines of CA ${subject} get certificates without a code`
      : `${who} lets machines of CA ${subject} get certificates in ${network} without a code`,
  'pki.enrol': ({ subject, detail }) =>
    detail.code === undefined
      ? `${subject} got a certificate of CA ${field(detail, 'ca')} for the certificate ${field(detail, 'shown')} of CA ${field(detail, 'by')}`
      : `${subject} got a certificate of CA ${field(detail, 'ca')} for code ${field(detail, 'code')}`,
  'privacy.change': ({ who, detail }) =>
    `${who} chose to keep ${field(detail, 'addresses')} addresses of handshakes${
      detail.days === 0 ? '' : ` for ${number(detail, 'days', 'day')}`
    }`,
  'alarm.opened': ({ subject, detail }) => `Alarm: ${alarmed(subject, detail)}`,
  'alarm.ended': ({ subject, detail }) => `The alarm is over: ${alarmed(subject, detail)}`,
  'alarm.acknowledge': ({ who, subject, detail }) =>
    `${who} looks after the alarm: ${alarmed(subject, detail)}`,
  'hook.add': ({ who, subject, detail }) => `${who} added the hook ${named(detail, subject)}`,
  'hook.remove': ({ who, subject, detail }) => `${who} removed the hook ${named(detail, subject)}`,
  'owner.add': ({ who, subject, detail }) => `${who} added the owner ${named(detail, subject)}`,
  'owner.rename': ({ who, subject, detail }) =>
    `${who} named the owner ${field(detail, 'before')} ${named(detail, subject)}`,
  'owner.close': ({ who, subject, detail }) => `${who} closed the owner ${named(detail, subject)}`,
  'owner.lend': ({ who, subject, detail }) =>
    `${who} lent ${field(detail, 'prefix')} to the owner ${named(detail, subject)}`,
  'owner.take-back': ({ who, subject, detail }) =>
    `${who} took ${field(detail, 'prefix')} back from the owner ${named(detail, subject)}`,
  'node.join': ({ subject }) => `The node ${subject} joined for the first time`,
  'node.drain': ({ who, subject }) => `${who} has devices leave the node ${subject}`,
  'node.resume': ({ who, subject }) => `${who} lets devices stay at the node ${subject} again`,
  'node.remove': ({ who, subject }) => `${who} removed the node ${subject}`,
  'person.invite': ({ who, detail }) =>
    `${who} invited somebody as ${field(detail, 'role')}${atOwner(detail)}`,
  'person.withdraw': ({ who, detail }) =>
    `${who} withdrew an invite as ${field(detail, 'role')}${atOwner(detail)}`,
  'account.add': ({ who, detail }) => `${who} signs in by an account at ${field(detail, 'issuer')}, too`,
  'account.remove': ({ who, detail }) =>
    `${who} signs in no longer by an account at ${field(detail, 'issuer')}`,
  'person.create': ({ subject, detail }) => `${named(detail, subject)} came in by an invite`,
  'person.role': ({ who, subject, detail }) =>
    `${who} made ${named(detail, subject)} ${field(detail, 'to')}${atOwner(detail)}`,
  'person.remove': ({ who, subject, detail }) =>
    `${who} removed ${named(detail, subject)}${typeof detail.owner === 'string' ? ` from ${detail.owner}` : ''}`,
  'person.password': ({ who }) => `${who} changed the own password`,
  'person.recovery-codes': ({ who }) => `${who} made new recovery codes`,
  'person.signout': ({ who }) => `${who} signed out everywhere`,
  'passkey.add': ({ who, subject, detail }) => `${who} registered the passkey ${named(detail, subject)}`,
  'passkey.remove': ({ who, subject, detail }) => `${who} removed the passkey ${named(detail, subject)}`,
  signin: ({ who, detail }) => `${who} signed in by ${field(detail, 'via')} from ${field(detail, 'from')}`,
  'signin.failed': ({ subject, detail }) =>
    `Somebody failed to sign in as ${subject} from ${field(detail, 'from')}`,
  'token.create': ({ who, subject, detail }) =>
    `${who} made the token ${named(detail, subject)} as ${field(detail, 'role')}`,
  'token.revoke': ({ who, subject, detail }) => `${who} revoked the token ${named(detail, subject)}`,
};

/** Every action that has words. */
export const ACTIONS_WITH_WORDS: readonly string[] = Object.keys(WORDS);

/** An entry of the audit trail as a sentence. */
export function auditSentence({ actor, action, subject, detail }: AuditView): string {
  const words = Object.hasOwn(WORDS, action) ? WORDS[action] : undefined;
  return words === undefined ? `${actor}: ${action} ${subject}` : words({ who: actor, subject, detail });
}
