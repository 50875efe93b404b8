import { createSecureContext } from 'node:tls';
import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { readMail } from '../alarms/mail.ts';
import { checkConsole, checkRoutes, checkServes } from '../config/checks.ts';
import { type Config, renderConfig } from '../config/config.ts';
import { readOpenId } from '../config/openid.ts';
import { readCities, readPlaces } from '../geo/places.ts';
import { readTls } from './common/console-tls.ts';
import { CONFIG, readConfig } from './common/settings.ts';

export const checkConfig: Command = {
  name: 'check-config',
  summary:
    'Checks the configuration and the files that it names, and prints it with all defaults filled in; touches nothing else.',
  options: [CONFIG],
  examples: ['enf-fabric check-config', 'enf-fabric check-config --config ./fabric.toml --json'],
  async run(invocation) {
    const config = await readConfig(invocation);
    await checkFiles(config);
    invocation.print(config, () => renderConfig(config));
    return undefined;
  },
};

/** @throws Failure `config.bad-console`, `config.bad-routes`, `config.bad-serves`, `config.bad-openid`, `geo.bad-database`, `fabric.bad-mail`, `os.…` */
async function checkFiles(config: Config): Promise<void> {
  const { console, places, geo, hooks } = config;
  checkConsole(console);
  checkRoutes(config);
  checkServes(config);
  const tls = await readTls(console);
  if (tls !== undefined) checkPair(tls);
  await readOpenId(config);
  if (hooks.mailFile !== '') await readMail(hooks.mailFile);
  if (places.database !== '' && places.database !== 'none') await readPlaces(places.database);
  if (geo.cityFile !== '') await readCities(geo.cityFile);
}

function checkPair({ certificate, key }: { readonly certificate: string; readonly key: string }): void {
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    throw new Failure(
      'config.bad-console',
      'operator',
      `the certificate of the console and its key cannot be used: ${(error as Error).message}`,
      { action: 'Give a certificate chain and its private key in PEM, both of the same pair.', cause: error },
    );
  }
}
