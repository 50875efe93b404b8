import type { Alarm } from '../registry/alarms.ts';
import { alarmText } from './alarm-text.ts';
import { oneOf, optional, whole } from './contract/input.ts';
import { filteredList, isoTime, operation } from './contract/operation.ts';
import type { AcknowledgedView, AlarmView } from './views/alarms.ts';

/** A page of alarms, newest first: those that are open, or those that have ended. */
export const listAlarms = filteredList<Alarm, AlarmView, { state?: 'open' | 'ended' | undefined }>(
  'alarm-list',
  { state: optional(oneOf('open', 'ended')) },
  (registry, page, { state }) => registry.alarms(page, state !== 'ended'),
  async () => alarmView,
);

/** Says that somebody looks after an alarm; it ends when it is over. @throws Failure `fabric.unknown-alarm` */
export const acknowledgeAlarm = operation<{ id: number }, AcknowledgedView>(
  'alarm-acknowledge',
  { id: whole(1, Number.MAX_SAFE_INTEGER) },
  async ({ registry, actor }, { id }) => ({ id, changed: await registry.acknowledgeAlarm(actor, id) }),
);

function alarmView({ opened, seen, acknowledged, ended, ownerName, ...all }: Alarm): AlarmView {
  return {
    ...all,
    owner: ownerName ?? null,
    ...alarmText(all),
    opened: isoTime(opened),
    seen: isoTime(seen),
    acknowledged: acknowledged === undefined ? null : { by: acknowledged.by, at: isoTime(acknowledged.at) },
    ended: ended === undefined ? null : isoTime(ended),
  };
}
