import { describe } from 'vitest';
import { admissionContract } from '../contract/admission.ts';
import { alarmsContract } from '../contract/alarms.ts';
import { delegationsContract } from '../contract/delegations.ts';
import { endingsContract } from '../contract/endings.ts';
import { historyContract } from '../contract/history.ts';
import { keysContract } from '../contract/keys.ts';
import { limitsContract } from '../contract/limits.ts';
import { ownerContract } from '../contract/owner.ts';
import { ownersContract } from '../contract/owners.ts';
import { peopleContract } from '../contract/people.ts';
import type { OpenEmpty } from '../contract/place.ts';
import { privacyContract } from '../contract/privacy.ts';
import { ratesContract } from '../contract/rates.ts';
import { rostersContract } from '../contract/rosters.ts';
import { routerContract } from '../contract/router.ts';
import { rulesContract } from '../contract/rules.ts';
import { tokensContract } from '../contract/tokens.ts';
import { byDuty, giveRoles } from './by-duty.ts';
import { registriesOfFile } from './registries.ts';

const made = registriesOfFile(giveRoles);

const openEmpty: OpenEmpty = async () => {
  const name = made.registry();
  return async (options) => byDuty(made.server, name, options);
};

/* What every engine has to do, done by nodes of separate duties: each has the rights of its own, and they are enough. */
describe('the registry by nodes of separate duties', () => {
  for (const contract of [
    ...[ownerContract, ownersContract, endingsContract, rulesContract, keysContract],
    ...[ratesContract, delegationsContract, admissionContract, limitsContract, rostersContract],
    ...[privacyContract, routerContract, tokensContract, historyContract, peopleContract],
    ...[alarmsContract],
  ])
    contract(openEmpty);
});
