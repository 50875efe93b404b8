import { acknowledgeAlarm, listAlarms } from './alarms.ts';
import { acceptLoss, countHandshakes, listAudit, listHandshakes, verifyAudit } from './audit.ts';
import { changeDevices, countDevices } from './bulk.ts';
import {
  dropKeys,
  endRoot,
  installCertificate,
  listCertificates,
  rotateCertificate,
  rotateRoots,
} from './certificates.ts';
import type { Operation } from './contract/operation.ts';
import { listDevices, nameDevice, setStanding, showDevice } from './devices.ts';
import { removeGroup, removeNetwork, replaceDevice, retireDevice } from './endings.ts';
import { admitGroup, changeGroup, groupArrivals, listGroups, setGroupStatus, showGroup } from './groups.ts';
import { addHook, listDeliveries, listHooks, removeHook, retryDelivery, testHook } from './hooks.ts';
import { cancelJob, listJobs, showJob } from './jobs.ts';
import { readLabel } from './labels.ts';
import {
  addNetwork,
  delegateToDevice,
  delegateToGroup,
  listDelegations,
  listNetworks,
  listPrefixes,
  renameNetwork,
  setPool,
  setResidentOnly,
  setZone,
} from './networks.ts';
import { drainNode, listNodes, removeNode, resumeNode, showNode } from './nodes.ts';
import { handshakeCountries, handshakeHours, handshakePlaces, overview } from './overview.ts';
import {
  addOwner,
  closeOwner,
  lendPrefix,
  listOwners,
  renameOwner,
  setMember,
  takeBackPrefix,
} from './people/owners.ts';
import {
  invitePerson,
  listInvites,
  listPeople,
  removePerson,
  setPersonRole,
  withdrawInvite,
} from './people/people.ts';
import { createToken, listTokens, revokeToken } from './people/tokens.ts';
import {
  addAnchor,
  fetchCrlFrom,
  importListed,
  listAnchors,
  removeAnchor,
  revokeCertificate,
  setEnrols,
  takeCrl,
} from './pki/cas.ts';
import { previewAnchor } from './pki/chain.ts';
import { addCodes, createCa, listCodes, listIssued, renewCa, withdrawCode } from './pki/issuing.ts';
import { registerKey } from './pki/keys.ts';
import { changePrivacy, showPrivacy } from './privacy.ts';
import {
  addRosterPart,
  beginRoster,
  changeRoster,
  indexRoster,
  listRoster,
  removeRoster,
  showRoster,
} from './rosters.ts';
import { listLimits, removeLimit, setLimit, setMax } from './traffic/limits.ts';
import { addRule, listRules, moveRule, removeRule, testRules } from './traffic/rules.ts';

/** The operations that a running fabric offers on its control socket and in its API, by name. Each checks its input itself. */
const ALL = {
  'network-add': addNetwork,
  'network-list': listNetworks,
  'prefix-list': listPrefixes,
  'network-rename': renameNetwork,
  'network-zone': setZone,
  'network-takes': setResidentOnly,
  'network-pool': setPool,
  'delegation-list': listDelegations,
  'network-remove': removeNetwork,
  'rule-list': listRules,
  'rule-add': addRule,
  'rule-move': moveRule,
  'rule-remove': removeRule,
  'rule-test': testRules,
  'limit-list': listLimits,
  'limit-set': setLimit,
  'limit-remove': removeLimit,
  'limit-max': setMax,
  'label-read': readLabel,
  'group-add': admitGroup,
  'group-list': listGroups,
  'group-show': showGroup,
  'group-change': changeGroup,
  'group-remove': removeGroup,
  'group-arrivals': groupArrivals,
  'group-status': setGroupStatus,
  'group-delegate': delegateToGroup,
  'roster-begin': beginRoster,
  'roster-part': addRosterPart,
  'roster-index': indexRoster,
  'roster-show': showRoster,
  'roster-list': listRoster,
  'roster-standing': changeRoster,
  'roster-remove': removeRoster,
  overview: overview,
  'handshake-hours': handshakeHours,
  'handshake-countries': handshakeCountries,
  'handshake-places': handshakePlaces,
  'device-list': listDevices,
  'device-show': showDevice,
  'device-name': nameDevice,
  'device-standing': setStanding,
  'device-retire': retireDevice,
  'device-replace': replaceDevice,
  'device-register': registerKey,
  'device-delegate': delegateToDevice,
  'audit-list': listAudit,
  'audit-verify': verifyAudit,
  'audit-accept-loss': acceptLoss,
  'handshake-list': listHandshakes,
  'token-create': createToken,
  'token-list': listTokens,
  'token-revoke': revokeToken,
  'handshake-counts': countHandshakes,
  'person-list': listPeople,
  'person-invite': invitePerson,
  'invite-list': listInvites,
  'invite-withdraw': withdrawInvite,
  'person-role': setPersonRole,
  'person-remove': removePerson,
  'alarm-list': listAlarms,
  'alarm-acknowledge': acknowledgeAlarm,
  'hook-list': listHooks,
  'hook-add': addHook,
  'hook-remove': removeHook,
  'hook-test': testHook,
  'hook-deliveries': listDeliveries,
  'delivery-retry': retryDelivery,
  'certificate-list': listCertificates,
  'certificate-rotate': rotateCertificate,
  'certificate-install': installCertificate,
  'root-rotate': rotateRoots,
  'root-end': endRoot,
  'root-keys-drop': dropKeys,
  'device-count': countDevices,
  'device-bulk': changeDevices,
  'job-list': listJobs,
  'job-show': showJob,
  'job-cancel': cancelJob,
  'owner-list': listOwners,
  'owner-add': addOwner,
  'owner-rename': renameOwner,
  'owner-close': closeOwner,
  'owner-lend': lendPrefix,
  'owner-take-back': takeBackPrefix,
  'owner-member': setMember,
  'node-list': listNodes,
  'node-show': showNode,
  'node-drain': drainNode,
  'node-resume': resumeNode,
  'node-remove': removeNode,
  'pki-list': listAnchors,
  'pki-preview': previewAnchor,
  'pki-add': addAnchor,
  'pki-remove': removeAnchor,
  'pki-import': importListed,
  'pki-crl': takeCrl,
  'pki-crl-from': fetchCrlFrom,
  'pki-enrols': setEnrols,
  'pki-revoke': revokeCertificate,
  'pki-create': createCa,
  'pki-renew': renewCa,
  'pki-issued': listIssued,
  'code-add': addCodes,
  'code-list': listCodes,
  'code-withdraw': withdrawCode,
  'privacy-show': showPrivacy,
  'privacy-change': changePrivacy,
};

/** The type of each operation, by name: what its input and its view are. */
export type Operations = typeof ALL;
export type OperationName = keyof Operations;
export type InputOf<Name extends OperationName> = Parameters<Operations[Name]['run']>[1];
export type ViewOf<Name extends OperationName> = Awaited<ReturnType<Operations[Name]['run']>>;

export const OPERATIONS: ReadonlyMap<string, Operation<never, unknown>> = new Map(Object.entries(ALL));
