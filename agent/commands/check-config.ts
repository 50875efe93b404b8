import type { Command } from '../../cli/program.ts';
import { readIfThere } from '../../os/files/read.ts';
import { linkPrefixes } from '../../os/linux/links.ts';
import { parseRoots } from '../../protocol/identity/roots.ts';
import { type Config, isEnrolled, renderConfig } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { readRoots } from '../identity/tls-root.ts';
import { checkPrefixes } from '../network/desired.ts';
import { policyOf } from '../network/policy.ts';
import { CONFIG, readConfig } from './options.ts';

export const checkConfig: Command = {
  name: 'check-config',
  summary:
    'Checks the configuration and the files that it names, and prints it with all defaults filled in; touches nothing else',
  options: [CONFIG],
  examples: ['enf-agent check-config', 'enf-agent check-config --config ./agent.toml --json'],
  async run(invocation) {
    const config = await readConfig(invocation);
    await checkFiles(config);
    const { route, tunnel } = config;
    if (route.mode === 'split') checkPrefixes(route.prefixes, linkPrefixes(tunnel.device));
    invocation.print(config, () => `${renderConfig(config)}${notes(config)}`);
    return undefined;
  },
};

/**
 * A credential may still be on its way; once its secret key is there all of it has to be, and what is there has to be right.
 * @throws Failure `tls.bad-root`, `agent.bad-proxy-login`, `keys.…`, `os.…`
 */
async function checkFiles(config: Config): Promise<void> {
  const { remote, identity } = config;
  if (remote.tlsRoot !== '') await readRoots(remote.tlsRoot);
  else if (identity.mode === 'software') {
    const path = `${identity.credentialDir}/tls_root.pem`;
    const root = await readIfThere(path, 'TLS root');
    if (root !== undefined) parseRoots(root, path);
  }
  if (identity.mode === 'software') {
    const { credentialDir } = identity;
    if ((await readIfThere(`${credentialDir}/daa_secretkey.bin`, 'DAA secret key')) !== undefined) {
      const { openSoftwareKeys } = await import('../identity/software-keys.ts');
      const keys = openSoftwareKeys(credentialDir);
      await keys.credential();
      await keys.daaKey();
    }
  }
  if (identity.mode === 'pki' && !isEnrolled(config)) {
    const { checkNamedKey, readNamedCertificate } = await import('../identity/named-certificate.ts');
    await readNamedCertificate(config);
    await checkNamedKey(config);
  }
  if (remote.proxyLoginFile !== '') await proxyOf(config)?.login();
}

/** What follows from the configuration and is not written in it, as comments. */
function notes(config: Config): string {
  const { bypass, mark, table } = policyOf(config);
  if (!bypass) return '';
  return `\n# The fabric may have an address inside route.prefixes: mark ${mark} and the rules ${4 * table + 1} and ${4 * table + 3} keep the tunnel's own connection out of it.\n`;
}
