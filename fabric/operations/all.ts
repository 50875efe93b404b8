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
import { addNetwork, listNetworks, renameNetwork } from './networks.ts';
import { handshakeCountries, handshakeHours, overview } from './overview.ts';
import { invitePerson, listPeople, removePerson, setPersonRole } from './people.ts';
import { changePrivacy, showPrivacy } from './privacy.ts';
import { createToken, listTokens, revokeToken } from './tokens.ts';

/** The operations that a running fabric offers on its control socket, by name. Each checks its input itself. */
export const OPERATIONS: ReadonlyMap<string, Operation<never, unknown>> = new Map(
  [
    addNetwork,
    listNetworks,
    renameNetwork,
    removeNetwork,
    readLabel,
    admitGroup,
    listGroups,
    showGroup,
    changeGroup,
    removeGroup,
    groupArrivals,
    setGroupStatus,
    overview,
    handshakeHours,
    handshakeCountries,
    listDevices,
    showDevice,
    nameDevice,
    setStanding,
    retireDevice,
    replaceDevice,
    listAudit,
    verifyAudit,
    acceptLoss,
    listHandshakes,
    createToken,
    listTokens,
    revokeToken,
    countHandshakes,
    listPeople,
    invitePerson,
    setPersonRole,
    removePerson,
    listAlarms,
    acknowledgeAlarm,
    listHooks,
    addHook,
    removeHook,
    testHook,
    listDeliveries,
    retryDelivery,
    listCertificates,
    rotateCertificate,
    installCertificate,
    rotateRoots,
    endRoot,
    dropKeys,
    countDevices,
    changeDevices,
    listJobs,
    showJob,
    cancelJob,
    showPrivacy,
    changePrivacy,
  ].map((each) => [each.name, each]),
);
