import { acceptLoss, listAudit, listHandshakes, verifyAudit } from './audit.ts';
import { listDevices, setStanding, showDevice } from './devices.ts';
import { admitGroup, listGroups, setGroupStatus } from './groups.ts';
import { addNetwork, listNetworks } from './networks.ts';
import type { Operation } from './operation.ts';

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
  ].map((each) => [each.name, each]),
);
