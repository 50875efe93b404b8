import { ALARM_KINDS } from '../../registry/alarms.ts';
import {
  CHANGED,
  count,
  details,
  named,
  number,
  orNull,
  rowsOf,
  type Shown,
  shown,
  time,
  wordOf,
  words,
} from '../contract/output.ts';

const ID = number('By this number it is known.');
const CREATED_BY = words('Who made it.');
const CREATED = time('When it was made.');

/** An alarm; times are ISO 8601 in UTC. */
export const AlarmView = named('Alarm', 'What an owner should know.', {
  id: ID,
  kind: wordOf(ALARM_KINDS, 'See docs/alarms.md.'),
  subject: words("A group's id, an address, or what else the kind is about."),
  detail: details('What a person needs to judge it, by kind.'),
  owner: orNull(words('The name of the owner whom it concerns; null: the host.', 'default')),
  opened: time('When it was first found.'),
  seen: time('When it was last found, to a minute.'),
  acknowledged: orNull(
    shown(
      { by: words('Who.'), at: time('When.') },
      'Who has said that somebody looks after it; null: nobody.',
    ),
  ),
  ended: orNull(time('When it was over; null: it is open.')),
  what: words('What it means: a sentence.'),
  action: words('What to do: a sentence.'),
});
export type AlarmView = Shown<typeof AlarmView>;

export const AcknowledgedView = shown({ id: ID, changed: CHANGED });
export type AcknowledgedView = Shown<typeof AcknowledgedView>;

export const HookView = named('Hook', 'Where alarms are sent to.', {
  id: ID,
  name: words('Its name.', 'pager'),
  to: words(
    'Where it sends to, without path and query: these may hold a secret.',
    'https://hooks.example.org',
    'mailto:night@example.org',
  ),
  createdBy: CREATED_BY,
  created: CREATED,
});
export type HookView = Shown<typeof HookView>;
export const HooksView = rowsOf(HookView);
export type HooksView = Shown<typeof HooksView>;

export const NewHookView = shown({
  ...HookView.properties,
  secret: words('The key of its signatures, which nobody can read again.'),
});
export type NewHookView = Shown<typeof NewHookView>;

/** An event that was sent to a hook, or is to be. */
export const DeliveryView = named('Delivery', 'An event that was sent to a hook, or is to be.', {
  id: ID,
  event: words('What it tells of.', 'alarm.opened'),
  body: words('What is sent: JSON.'),
  created: time('When the event was.'),
  status: wordOf(['waiting', 'sent', 'given-up'], 'What has become of it.'),
  attempts: count('How often it was tried.'),
  at: time('When it is tried next, or was last tried.'),
  error: orNull(words('Why it was not accepted at the last attempt.')),
});
export type DeliveryView = Shown<typeof DeliveryView>;

/** What was done something to, by its number. */
export const IdView = shown({ id: ID });
export type IdView = Shown<typeof IdView>;
