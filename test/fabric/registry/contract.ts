import { describe } from 'vitest';
import { admissionContract } from './contract/admission.ts';
import { alarmsContract } from './contract/alarms.ts';
import { changesContract } from './contract/changes.ts';
import { citiesContract } from './contract/cities.ts';
import { delegationsContract } from './contract/delegations.ts';
import { endingsContract } from './contract/endings.ts';
import { historyContract } from './contract/history.ts';
import { keysContract } from './contract/keys.ts';
import { limitsContract } from './contract/limits.ts';
import { newsContract } from './contract/news.ts';
import { clonesContract } from './contract/nodes/clones.ts';
import { nodesContract } from './contract/nodes/nodes.ts';
import { ownerContract } from './contract/owner.ts';
import { ownersContract } from './contract/owners.ts';
import { ownersApartContract } from './contract/owners-apart.ts';
import { pagesContract } from './contract/pages.ts';
import { peopleContract } from './contract/people.ts';
import type { OpenEmpty } from './contract/place.ts';
import { privacyContract } from './contract/privacy.ts';
import { ratesContract } from './contract/rates.ts';
import { rostersContract } from './contract/rosters.ts';
import { routerContract } from './contract/router.ts';
import { rulesContract } from './contract/rules.ts';
import { searchesContract } from './contract/searches.ts';
import { togetherContract } from './contract/together.ts';
import { tokensContract } from './contract/tokens.ts';

/** What every engine of the registry has to do (fabric/registry/registry.ts). */
export function registryContract(name: string, openEmpty: OpenEmpty): void {
  describe(`the registry on ${name}`, () => {
    ownerContract(openEmpty);
    ownersContract(openEmpty);
    ownersApartContract(openEmpty);
    endingsContract(openEmpty);
    rulesContract(openEmpty);
    keysContract(openEmpty);
    ratesContract(openEmpty);
    delegationsContract(openEmpty);
    pagesContract(openEmpty);
    searchesContract(openEmpty);
    admissionContract(openEmpty);
    togetherContract(openEmpty);
    limitsContract(openEmpty);
    rostersContract(openEmpty);
    citiesContract(openEmpty);
    privacyContract(openEmpty);
    routerContract(openEmpty);
    nodesContract(openEmpty);
    clonesContract(openEmpty);
    changesContract(openEmpty);
    tokensContract(openEmpty);
    historyContract(openEmpty);
    peopleContract(openEmpty);
    newsContract(openEmpty);
    alarmsContract(openEmpty);
  });
}
