import type * as alarms from '../../fabric/operations/alarms.ts';
import type * as audit from '../../fabric/operations/audit.ts';
import type * as bulk from '../../fabric/operations/bulk.ts';
import { CATALOGUE } from '../../fabric/operations/contract/catalogue.ts';
import { requestFor } from '../../fabric/operations/contract/request.ts';
import type * as devices from '../../fabric/operations/devices.ts';
import type * as endings from '../../fabric/operations/endings.ts';
import type * as groups from '../../fabric/operations/groups.ts';
import type * as hooks from '../../fabric/operations/hooks.ts';
import type * as jobs from '../../fabric/operations/jobs.ts';
import type * as labels from '../../fabric/operations/labels.ts';
import type * as networks from '../../fabric/operations/networks.ts';
import type * as overview from '../../fabric/operations/overview.ts';
import type * as people from '../../fabric/operations/people.ts';
import type * as privacy from '../../fabric/operations/privacy.ts';
import type * as tokens from '../../fabric/operations/tokens.ts';
import { send } from './http.ts';

/** The operations that the console uses, with the types that the fabric gives them. */
export interface Operations {
  'network-list': typeof networks.listNetworks;
  'network-add': typeof networks.addNetwork;
  'network-rename': typeof networks.renameNetwork;
  'network-remove': typeof endings.removeNetwork;
  overview: typeof overview.overview;
  'label-read': typeof labels.readLabel;
  'group-list': typeof groups.listGroups;
  'group-show': typeof groups.showGroup;
  'group-change': typeof groups.changeGroup;
  'group-arrivals': typeof groups.groupArrivals;
  'group-add': typeof groups.admitGroup;
  'group-remove': typeof endings.removeGroup;
  'group-status': typeof groups.setGroupStatus;
  'device-list': typeof devices.listDevices;
  'device-show': typeof devices.showDevice;
  'device-standing': typeof devices.setStanding;
  'device-retire': typeof endings.retireDevice;
  'device-replace': typeof endings.replaceDevice;
  'device-name': typeof devices.nameDevice;
  'device-count': typeof bulk.countDevices;
  'device-bulk': typeof bulk.changeDevices;
  'job-show': typeof jobs.showJob;
  'job-cancel': typeof jobs.cancelJob;
  'handshake-hours': typeof overview.handshakeHours;
  'handshake-countries': typeof overview.handshakeCountries;
  'handshake-list': typeof audit.listHandshakes;
  'handshake-counts': typeof audit.countHandshakes;
  'privacy-show': typeof privacy.showPrivacy;
  'privacy-change': typeof privacy.changePrivacy;
  'audit-list': typeof audit.listAudit;
  'audit-verify': typeof audit.verifyAudit;
  'alarm-list': typeof alarms.listAlarms;
  'alarm-acknowledge': typeof alarms.acknowledgeAlarm;
  'hook-list': typeof hooks.listHooks;
  'hook-add': typeof hooks.addHook;
  'hook-remove': typeof hooks.removeHook;
  'hook-test': typeof hooks.testHook;
  'hook-deliveries': typeof hooks.listDeliveries;
  'delivery-retry': typeof hooks.retryDelivery;
  'person-list': typeof people.listPeople;
  'person-invite': typeof people.invitePerson;
  'person-role': typeof people.setPersonRole;
  'person-remove': typeof people.removePerson;
  'token-list': typeof tokens.listTokens;
  'token-create': typeof tokens.createToken;
  'token-revoke': typeof tokens.revokeToken;
}

export type InputOf<Name extends keyof Operations> = Parameters<Operations[Name]['run']>[1];
export type ViewOf<Name extends keyof Operations> = Awaited<ReturnType<Operations[Name]['run']>>;

/** Runs an operation of the fabric. @throws Problem */
export function run<Name extends keyof Operations>(name: Name, input: InputOf<Name>): Promise<ViewOf<Name>> {
  const entry = CATALOGUE[name]!;
  const { path, body } = requestFor(entry, input);
  return send(entry.method, path, body);
}
