import type { AuditView } from '../../fabric/operations/views/handshakes.ts';

type Detail = Readonly<Record<string, unknown>>;
type Words = (entry: { readonly who: string; readonly subject: string; readonly detail: Detail }) => string;

const named = (detail: Detail, subject: string): string =>
  typeof detail.name === 'string' ? `“${detail.name}”` : subject.slice(0, 20);
const field = (detail: Detail, name: string): string => String(detail[name] ?? '?');

/** A group's id is too long to be read. */
const short = (subject: string): string => (subject.length > 45 ? `${subject.slice(0, 20)}…` : subject);

/** What a rule says: “deny in tcp/22, group:… with outside”. */
function ruleText(detail: Detail): string {
  const ports = typeof detail.ports === 'string' ? `/${detail.ports}` : '';
  const what = `${field(detail, 'action')} ${field(detail, 'direction')} ${field(detail, 'protocol')}${ports}`;
  return `${what}, ${short(field(detail, 'devices'))} with ${short(field(detail, 'with'))}`;
}

/** What each action of the trail is in words. */
const WORDS: Readonly<Record<string, Words>> = {
  'fabric.init': ({ who }) => `${who} set the fabric up`,
  'fabric.restore': ({ who }) => `${who} put the registry back to an earlier state`,
  'certificate.rotate': ({ who, subject }) => `${who} replaced the certificate of the ${subject}`,
  'certificate.rotate-request': ({ who, subject }) => `${who} asked for a new certificate of the ${subject}`,
  'root.add': ({ who }) => `${who} made the next roots`,
  'root.add-request': ({ who }) => `${who} asked for the next roots`,
  'root.end': ({ who }) => `${who} declared the end of a root`,
  'root.end-request': ({ who }) => `${who} asked for the end of a root`,
  'roots.change': ({ who, detail }) => `${who} put version ${field(detail, 'version')} of the roots in force`,
  'job.start': ({ who, subject, detail }) => `${who} began ${subject}: to ${field(detail, 'change')} devices`,
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
  'network.remove': ({ who, subject }) => `${who} removed the network ${subject}`,
  'rule.add': ({ who, subject, detail }) =>
    `${who} added ${subject} to ${field(detail, 'network')}: ${ruleText(detail)}`,
  'rule.move': ({ who, subject, detail }) =>
    `${who} moved ${subject} of ${field(detail, 'network')} from place ${field(detail, 'from')} to ${field(detail, 'to')}`,
  'rule.remove': ({ who, subject, detail }) =>
    `${who} removed ${subject} of ${field(detail, 'network')}: ${ruleText(detail)}`,
  'group.add': ({ who, subject, detail }) =>
    `${who} admitted the batch ${named(detail, subject)} to ${field(detail, 'network')}`,
  'group.change': ({ who, subject, detail }) => `${who} changed the batch ${named(detail, subject)}`,
  'group.remove': ({ who, subject, detail }) => `${who} removed the batch ${named(detail, subject)}`,
  'group.suspend': ({ who, subject, detail }) => `${who} suspended the batch ${named(detail, subject)}`,
  'group.resume': ({ who, subject, detail }) => `${who} resumed the batch ${named(detail, subject)}`,
  'roster.add': ({ who, subject, detail }) =>
    `${who} gave the batch ${named(detail, subject)} a roster of ${field(detail, 'devices')} devices`,
  'roster.remove': ({ who, subject, detail }) =>
    `${who} took the roster of the batch ${named(detail, subject)} away`,
  'roster.ban': ({ who, subject, detail }) =>
    `${who} banned ${field(detail, 'devices')} devices of the batch ${named(detail, subject)} before they came`,
  'roster.unban': ({ who, subject, detail }) =>
    `${who} unbanned ${field(detail, 'devices')} devices of the batch ${named(detail, subject)} before they came`,
  'device.admit': ({ subject }) => `A new device proved its batch and got ${subject}`,
  'device.readmit': ({ subject }) => `${subject} proved its batch again and is admitted`,
  'device.rekey': ({ subject }) => `${subject} made itself a new key`,
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
  'device.name': ({ who, subject, detail }) =>
    typeof detail.name === 'string' && detail.name !== ''
      ? `${who} named ${subject} “${detail.name}”`
      : `${who} changed what is noted of ${subject}`,
  'device.moves': ({ subject, detail }) =>
    `${subject} shook hands from ${field(detail, 'from')} and, within a day, from ${field(detail, 'to')}`,
  'privacy.change': ({ who, detail }) =>
    `${who} chose to keep ${field(detail, 'addresses')} addresses of handshakes${
      detail.days === 0 ? '' : ` for ${field(detail, 'days')} days`
    }`,
  'alarm.opened': ({ subject, detail }) => `Alarm ${field(detail, 'kind')} for ${short(subject)}`,
  'alarm.ended': ({ subject, detail }) => `Alarm ${field(detail, 'kind')} for ${short(subject)} is over`,
  'alarm.acknowledge': ({ who, subject, detail }) =>
    `${who} looks after the alarm ${field(detail, 'kind')} for ${short(subject)}`,
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
  'person.invite': ({ who, detail }) => `${who} invited somebody as ${field(detail, 'role')}`,
  'person.withdraw': ({ who, detail }) => `${who} withdrew an invite as ${field(detail, 'role')}`,
  'account.add': ({ who, detail }) => `${who} signs in by an account at ${field(detail, 'issuer')}, too`,
  'account.remove': ({ who, detail }) =>
    `${who} signs in no longer by an account at ${field(detail, 'issuer')}`,
  'person.create': ({ subject, detail }) => `${named(detail, subject)} came in by an invite`,
  'person.role': ({ who, subject, detail }) => `${who} made ${named(detail, subject)} ${field(detail, 'to')}`,
  'person.remove': ({ who, subject, detail }) => `${who} removed ${named(detail, subject)}`,
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
