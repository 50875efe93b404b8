import type { Check } from '../check.ts';
import { backup } from './backup.ts';
import { bgp } from './bgp.ts';
import { cas } from './cas.ts';
import { certificates } from './certificates.ts';
import { clock } from './clock.ts';
import { control } from './control.ts';
import { database } from './database.ts';
import { disk } from './disk.ts';
import { entropy } from './entropy.ts';
import { forwarding } from './forwarding.ts';
import { hostServices } from './host-services.ts';
import { places } from './places.ts';
import { ports } from './ports.ts';
import { revocationLists } from './revocation-lists.ts';
import { routes } from './routes.ts';
import { tun } from './tun.ts';

/** All checks, from the data folder outwards. */
export const CHECKS: readonly Check[] = [
  certificates,
  cas,
  control,
  ports,
  tun,
  hostServices,
  forwarding,
  routes,
  bgp,
  database,
  disk,
  backup,
  places,
  revocationLists,
  clock,
  entropy,
];
