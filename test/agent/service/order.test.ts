import { expect, test } from 'vitest';
import type { Lookup } from '../../../os/net/lookup.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

test('with remote.order = "listed" an agent tries its hosts as they stand there, for its identity and for its tunnel', async () => {
  const certificates = makeCertificates();
  const authority = await identityServer();
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const { port: identityPort } = await agents.listen(authority);
  const { port: tunnelPort } = await startTestRouter(certificates);
  // By chance one of 720 orders is this one.
  const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.example.org`);
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
