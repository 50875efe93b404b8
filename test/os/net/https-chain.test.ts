import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { openIdentity } from '../../../factory/station/identity.ts';
import { serveHttps } from '../../../os/net/https.ts';
import { caFolder, type MadeCertificate } from '../../fabric/openssl-ca.ts';
import { scratch } from '../../factory/folders.ts';

const path = scratch();

test('knows those above it that the client shows, in their order, and not more than four', async () => {
  const files = caFolder();
  onTestFinished(files.remove);
  const cas = [files.ca({ subject: '/CN=0' })];
  for (let i = 1; i < 6; i++) cas.push(files.ca({ subject: `/CN=${i}`, by: cas[i - 1]! }));
  const [root, issuing] = cas as [MadeCertificate, MadeCertificate];
  let seen: readonly string[] = [];
  const { key, certificate } = await openIdentity(path('identity'));
  const { port, close } = await serveHttps({
    ...{ what: 'the test', key, certificate, clientCertificates: true, onError: () => {} },
    ...{ address: { host: '127.0.0.1', port: 0 }, connections: 8, bodyBytes: 100, requestMs: 20_000 },
    async handle({ certificate: shown, chain }) {
      seen = [shown!, ...chain].map((der) => new X509Certificate(der).subject);
      return { status: 204, body: '' };
    },
  });
  onTestFinished(close);
  const show = async (by: MadeCertificate, ...others: readonly MadeCertificate[]) => {
    const { pem, key: own } = files.leaf({ subject: '/CN=pump', by, addresses: [] });
    const cert = [pem, ...others.map((each) => each.pem)].join('');
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, key: own, cert });
    await once(socket, 'secureConnect');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await text(socket);
    return seen;
  };
  expect(await show(root)).toEqual(['CN=pump']);
  expect(await show(issuing, issuing, root)).toEqual(['CN=pump', 'CN=1', 'CN=0']);
  // What has nothing to do with it is left out.
  expect(await show(issuing, cas[3]!, issuing)).toEqual(['CN=pump', 'CN=1']);
  expect(await show(cas[5]!, ...[...cas].reverse())).toEqual(['CN=pump', 'CN=5', 'CN=4', 'CN=3', 'CN=2']);
});
