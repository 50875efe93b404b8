import type { Check } from '../check.ts';
import { captivePortal } from './captive-portal.ts';
import { clock } from './clock.ts';
import { credential } from './credential.ts';
import { delegation } from './delegation.ts';
import { disk } from './disk.ts';
import { dns } from './dns.ts';
import { foreignManagers } from './foreign-managers.ts';
import { forwarding } from './forwarding.ts';
import { ipv6 } from './ipv6.ts';
import { names } from './names.ts';
import { nvObjects } from './nv-objects.ts';
import { pathMtu } from './path-mtu.ts';
import { ports } from './ports.ts';
import { proxy } from './proxy.ts';
import { route } from './route.ts';
import { state } from './state.ts';
import { tls } from './tls.ts';
import { tpmCapabilities } from './tpm-capabilities.ts';
import { tpmDevice } from './tpm-device.ts';
import { tpmLockout } from './tpm-lockout.ts';
import { tun } from './tun.ts';

/** All checks, from the machine outwards. */
export const CHECKS: readonly Check[] = [
  clock,
  disk,
  state,
  tun,
  ipv6,
  forwarding,
  delegation,
  foreignManagers,
  tpmDevice,
  tpmCapabilities,
  tpmLockout,
  nvObjects,
  credential,
  dns,
  route,
  proxy,
  ports,
  tls,
  captivePortal,
  pathMtu,
  names,
];
