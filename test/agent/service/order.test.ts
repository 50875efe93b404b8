import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { estClient } from '../../../agent/identity/est.ts';
import type { Lookup } from '../../../os/net/lookup.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

// By chance one of 720 orders is this one.
const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.example.org`);

test('with remote.order = "listed" an agent tries its hosts as they stand there, for its identity and for its tunnel', async () => {
  const certificates = makeCertificates();
  const authority = await identityServer();
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const { port: identityPort } = await agents.listen(authority);
  const { port: tunnelPort } = await startTestRouter(certificates);
  const asked: string[] = [];
  const resolver: Lookup = async (name) => {
    asked.push(name);
    if (name !== names.at(-1)) throw new Error('NXDOMAIN');
    return ['127.0.0.1'];
  };
  const agent = agents.boot({
    ...{ state: temporaryFolder(), identityPort, tunnelPort, resolver },
    hosts: `${JSON.stringify(names)}\norder = "listed"`,
    identity: `mode = "software"\ncredential-dir = "${credential}"`,
  });
  await agent.online();
  expect([...new Set(asked)]).toEqual(names);
});

test('with remote.order = "listed" an agent asks its hosts in that order for its certificate', async () => {
  const asked: string[] = [];
  const root = join(temporaryFolder(), 'root.pem');
  writeFileSync(root, makeCertificates().root);
  const remote = `[remote]\nhosts = ${JSON.stringify(names)}\norder = "listed"\ntls-root = "${root}"\n`;
  const client = estClient({
    config: parseConfig(`${remote}[identity]\nmode = "pki"\n`, 'agent.toml'),
    async lookup(name) {
      asked.push(name);
      throw new Error('NXDOMAIN');
    },
    ...{ proxy: undefined, mark: 0, stopping: new AbortController().signal, steadyMs: () => 0 },
  });
  await expect(client.cacerts({ code: 'once' })).rejects.toMatchObject({ code: 'net.no-such-host' });
  expect(asked).toEqual(names);
});
