import { acceptLoss, countHandshakes, listAudit, listHandshakes, verifyAudit } from './audit.ts';
import { listDevices, setStanding, showDevice } from './devices.ts';
import { admitGroup, listGroups, setGroupStatus } from './groups.ts';
import { addNetwork, listNetworks } from './networks.ts';
import type { Operation } from './operation.ts';
import { invitePerson, listPeople, removePerson, setPersonRole } from './people.ts';
import { createToken, listTokens, revokeToken } from './tokens.ts';

/** The operations that a running fabric offers on its control socket, by name. Each checks its input itself. */
export const OPERATIONS: ReadonlyMap<string, Operation<never, unknown>> = new Map(
  [
    addNetwork,
    listNetworks,
    admitGroup,
    listGroups,
    setGroupStatus,
    listDevices,
    showDevice,
    setStanding,
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
  ].map((each) => [each.name, each]),
);
