import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCHEMA } from '../agent/config/config.ts';
import type { Description } from '../cli/program.ts';
import { debianChangelog, debianVersion } from './changelog.ts';
import { bashCompletion } from './completion.ts';
import { depends } from './depends.ts';
import { copyright, sbom, thirdParty } from './licences.ts';
import { configurationPage, programPage } from './pages.ts';
import { bundledParts } from './parts.ts';

/**
 * Writes the generated parts of the package: man pages, completion, licences, SBOM, changelog.
 * Called by deb.sh; all input is in the environment:
 *   ROOT the project, OUT where to write, DESCRIPTION the file with `enf-agent help --json`, METAFILE that of its bundle,
 *   MAINTAINER, SOURCE_DATE_EPOCH, LIBRARIES the output of dpkg-shlibdeps
 */
function make(): void {
  const [root, out] = [variable('ROOT'), variable('OUT')];
  const program: Description = JSON.parse(readFileSync(variable('DESCRIPTION'), 'utf8'));
  const parts = bundledParts(JSON.parse(readFileSync(variable('METAFILE'), 'utf8')), root);
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
    'enf-agent.1': programPage(program, date),
    'enf-agent.toml.5': configurationPage(SCHEMA, program.version, date),
    'enf-agent.bash': bashCompletion(program),
    'THIRD-PARTY': thirdParty(parts),
    'sbom.spdx.json': sbom(program, parts, when.toISOString().replace(/\.\d+Z/, 'Z')),
    copyright: copyright(parts),
    changelog,
    version: debianVersion(program.version),
    depends: depends(variable('LIBRARIES')),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

make();
