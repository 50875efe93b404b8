import { ONLY, runChecks } from '../../cli/examine.ts';
import type { Command, Invocation } from '../../cli/program.ts';
import { CHECKS } from '../doctor/checks/all.ts';
import { machineProbes, type PlaceDatabases } from '../doctor/probes.ts';
import { countriesFile, readCities, readPlaces } from '../geo/places.ts';
import { listNetworks } from '../operations/networks.ts';
import { listAnchors } from '../operations/pki/cas.ts';
import { eachRow } from '../registry/pages.ts';
import { DATA, withLocalFabric } from './common/context.ts';
import { CONFIG, readConfig } from './common/settings.ts';

export const doctor: Command = {
  name: 'doctor',
  summary:
    'Checks the fabric and its host: ok, warning, skipped or failed, each with what to do; fails if a check failed.',
  options: [ONLY, CONFIG, DATA],
  examples: ['enf-fabric doctor', 'enf-fabric doctor --only host-services', 'enf-fabric doctor --json'],
  run: (invocation) =>
    withLocalFabric(invocation, (fabric) => {
      const networks = () => eachRow((page) => fabric.run(listNetworks, page));
      const cas = async () => (await fabric.run(listAnchors, {})).rows;
      const places = () => placeDatabases(invocation);
      return runChecks(invocation, CHECKS, {
        ...machineProbes(invocation.required('data'), networks),
        cas,
        places,
      });
    }),
};

async function placeDatabases(invocation: Invocation): Promise<PlaceDatabases> {
  const { places, geo } = await readConfig(invocation);
  const { database } = places;
  const read = [
    ...(database === 'none' ? [] : [await readPlaces(database || countriesFile())]),
    ...(geo.cityFile === '' ? [] : [await readCities(geo.cityFile)]),
  ];
  const databases = read.flatMap(({ source, built }) =>
    source === undefined || built === undefined ? [] : [{ source, built }],
  );
  return { databases, oldDays: geo.oldDays };
}
