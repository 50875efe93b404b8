import { codeHash } from '../../../../fabric/access/codes.ts';
import { estAuthority } from '../../../../fabric/est/authority.ts';
import type { ShownProof } from '../../../../fabric/est/messages.ts';
import { caFolder } from '../../openssl-ca.ts';
import { requestOf } from '../../requests.ts';

import { data, NETWORK, PAGE, registry, run } from './place.ts';

export async function certificateAuthorities(): Promise<void> {
  const files = caFolder();
  const root = files.ca({ subject: '/CN=root' });
  const issuing = files.ca({ subject: '/CN=issuing', by: root });
  const derOf = (pem: string): string => pem.replaceAll(/-----[^-]+-----|\s/g, '');
  const certificates = [root, issuing].map(({ pem }) => derOf(pem));
  const ca = { name: 'plant CA', networks: [NETWORK] };
  await run('pki-preview', { certificates });
  const { view } = await run('pki-add', { ...ca, certificates, admits: 'anybody' });
  const { id } = view;
  await run('pki-import', { id, devices: [{ address: 'fd00:1:2:3:1::1', serial: '1' }] });
  await run('pki-crl', { id, crl: derOf(files.crl(root, ['4711'])) });
  await run('pki-crl-from', { id, url: 'http://crl.example.org/ca.crl' });
  const [due] = await registry.dueLists(1);
  await registry.recordFetch(due!, { kind: 'fetched', due: 1 });
  await run('pki-list', {});
  await registry.recordFetch(due!, { kind: 'failed', due: 1, error: 'HTTP 404' });
  await run('pki-revoke', { id, serial: '4712', reason: 'lost' });
  const groups = await run('group-list', PAGE);
  const { gid } = groups.rows.find((row) => row.ca === id)!;
  await run('group-show', { gid });
  await run('group-change', { gid, name: 'plant CA 2' });
  await run('group-status', { gid, status: 'suspended' });
  await run('pki-list', {});
  await run('pki-remove', { id });
  files.remove();
}

export async function issuing(): Promise<void> {
  const { view } = await run('pki-create', { name: 'plant devices', networks: [NETWORK] });
  const { id } = view.ca;
  await run('pki-list', {});
  await run('pki-renew', { id, certificateDays: 30 });
  const files = caFolder();
  const certificates = [files.ca({ subject: '/CN=maker' }).pem.replaceAll(/-----[^-]+-----|\s/g, '')];
  files.remove();
  const added = await run('pki-add', {
    ...{ name: 'maker', certificates, networks: [NETWORK], admits: 'listed' },
  });
  const maker = added.view.id;
  await run('pki-enrols', { id: maker, network: NETWORK });
  await run('pki-list', {});
  await run('pki-enrols', { id: maker, network: '' });
  await run('pki-remove', { id: maker });
  const network = { network: NETWORK };
  const { codes } = await run('code-add', { ...network, name: 'pump-2', address: 'fd00:1:2:3:e::1' });
  await run('code-add', { ...network, count: 2, hours: 1 });
  const authority = estAuthority(registry, data);
  const enrol = (proof: ShownProof) =>
    authority({
      kind: 'certificate',
      proof,
      request: requestOf({ subject: 'fd00:1:2:3:e::1' }),
      source: '::1',
    });
  const [first] = await enrol({ code: codeHash(codes[0]!.code)! });
  await enrol({ certificate: first! });
  const issued = await run('pki-issued', { ...PAGE, ca: id });
  await run('pki-issued', { limit: 1 });
  await run('code-list', { limit: 1 });
  const [renewal, original] = issued.rows;
  await run('pki-revoke', { id, serial: renewal!.serial, reason: 'lost' });
  await run('pki-revoke', { id, serial: renewal!.serial, reason: 'lost', lineage: true });
  await run('pki-issued', { ...PAGE, address: original!.address });
  await run('code-list', PAGE);
  const open = (await run('code-list', PAGE)).rows.find(({ state }) => state === 'open')!;
  await run('code-withdraw', { id: open.id });
  await run('code-list', PAGE);
  await run('pki-remove', { id });
}
