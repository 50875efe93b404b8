import type { TSchema } from 'typebox';
import { JobView } from '../jobs/view.ts';
import type { OperationName } from './all.ts';
import { changedTo, listOf, pageOf } from './contract/output.ts';
import { AcknowledgedView, AlarmView, DeliveryView, HooksView, IdView, NewHookView } from './views/alarms.ts';
import { CertificatesView, DroppedKeysView, RotationView } from './views/certificates.ts';
import {
  CountView,
  DeviceDetails,
  DeviceView,
  NamedView,
  ReplacedView,
  StandingView,
} from './views/devices.ts';
import {
  ArrivalsView,
  GroupDetails,
  GroupRow,
  GroupStatusView,
  GroupView,
  LabelView,
  NetworkView,
  RemovedGroupView,
  RemovedNetworkView,
  RenamedNetworkView,
} from './views/groups.ts';
import {
  AcceptedView,
  AuditView,
  HandshakeCountView,
  HandshakeView,
  VerifiedView,
} from './views/handshakes.ts';
import { JobsView } from './views/jobs.ts';
import { CountriesView, HoursView, OverviewView } from './views/overview.ts';
import {
  InviteView,
  NewTokenView,
  PersonRoleView,
  PersonView,
  RemovedPersonView,
  RevokedView,
  TokenView,
} from './views/people.ts';
import { PrivacyView } from './views/privacy.ts';

/** What each operation answers: a schema that describes its view. */
export const ANSWERS = {
  'network-add': changedTo(NetworkView),
  'network-list': pageOf(NetworkView),
  'network-rename': changedTo(RenamedNetworkView),
  'network-remove': changedTo(RemovedNetworkView),
  'label-read': LabelView,
  'group-add': changedTo(GroupView),
  'group-list': pageOf(GroupRow),
  'group-show': GroupDetails,
  'group-change': changedTo(GroupView),
  'group-remove': changedTo(RemovedGroupView),
  'group-arrivals': ArrivalsView,
  'group-status': changedTo(GroupStatusView),
  overview: OverviewView,
  'handshake-hours': HoursView,
  'handshake-countries': CountriesView,
  'device-list': pageOf(DeviceView),
  'device-show': DeviceDetails,
  'device-name': changedTo(NamedView),
  'device-standing': changedTo(StandingView),
  'device-retire': changedTo(StandingView),
  'device-replace': changedTo(ReplacedView),
  'audit-list': pageOf(AuditView),
  'audit-verify': VerifiedView,
  'audit-accept-loss': AcceptedView,
  'handshake-list': pageOf(HandshakeView),
  'token-create': NewTokenView,
  'token-list': pageOf(TokenView),
  'token-revoke': RevokedView,
  'handshake-counts': listOf(HandshakeCountView),
  'person-list': pageOf(PersonView),
  'person-invite': InviteView,
  'person-role': PersonRoleView,
  'person-remove': RemovedPersonView,
  'alarm-list': pageOf(AlarmView),
  'alarm-acknowledge': AcknowledgedView,
  'hook-list': HooksView,
  'hook-add': NewHookView,
  'hook-remove': IdView,
  'hook-test': IdView,
  'hook-deliveries': pageOf(DeliveryView),
  'delivery-retry': IdView,
  'certificate-list': CertificatesView,
  'certificate-rotate': RotationView,
  'certificate-install': RotationView,
  'root-rotate': RotationView,
  'root-end': RotationView,
  'root-keys-drop': DroppedKeysView,
  'device-count': CountView,
  'device-bulk': JobView,
  'job-list': JobsView,
  'job-show': JobView,
  'job-cancel': JobView,
  'privacy-show': PrivacyView,
  'privacy-change': changedTo(PrivacyView),
} satisfies Readonly<Record<OperationName, TSchema>>;
