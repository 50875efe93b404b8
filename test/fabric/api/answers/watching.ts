import { expect } from 'vitest';
import { STREAM_EVENTS } from '../../../../fabric/api/account-answers.ts';
import { rootKeyDigests } from '../../../../fabric/pki/changes.ts';
import { readRootKeys } from '../../../../fabric/pki/keys.ts';
import { encodeSigning, parseRequest, sign } from '../../../../fabric/pki/signing.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import { makeBatch } from '../../device.ts';
import { applicant } from '../../registry/contract/place.ts';
import { differs } from '../../strict.ts';

import { api, data, NETWORK, PAGE, registry, run, seen, token } from './place.ts';

export async function handshakes(): Promise<void> {
  await run('handshake-list', PAGE);
  await run('handshake-list', { limit: 1 });
  await run('handshake-hours', {});
  await run('handshake-countries', {});
  await run('handshake-places', { limit: 9 });
  await run('handshake-counts', {});
  await run('privacy-change', { addresses: 'cut', days: 30 });
  await run('privacy-show', {});
  await run('overview', {});
  await run('audit-list', { limit: 1 });
  await run('audit-list', PAGE);
  await run('audit-verify', {});
  await run('audit-accept-loss', {});
}

export async function alarmsAndKeys(): Promise<void> {
  const finding = { kind: 'disk.full-soon', owner: 0, subject: '/var', detail: { free: 1 } } as const;
  for (const subject of ['/var', '/srv']) await registry.recordFindings([], [{ ...finding, subject }], 0);
  await registry.recordFindings([], [{ ...finding, kind: 'group.over-announced', owner: 1 }], 0);
  const { rows } = await run('alarm-list', { limit: 1 });
  await run('alarm-acknowledge', { id: rows[0]!.id });
  await run('alarm-list', PAGE);
  await registry.recordFindings([finding.kind], [], -1);
  await run('alarm-list', { ...PAGE, state: 'ended' });

  const { id } = await run('hook-add', { name: 'pager', url: 'https://hooks.example.org/x' });
  await run('hook-list', {});
  await run('hook-test', { id });
  await run('hook-test', { id });
  const [delivery] = await registry.dueDeliveries(1);
  await registry.recordAttempt(delivery!.id, { kind: 'given-up', error: 'HTTP 500' });
  await run('hook-deliveries', { id, ...PAGE });
  await run('hook-deliveries', { id, limit: 1 });
  await run('delivery-retry', { id: delivery!.id });
  await run('hook-remove', { id });

  const made = await run('token-create', { name: 'x', role: 'auditor', days: 1 });
  await run('token-revoke', { id: made.id });
  await run('token-list', { limit: 1 });
  await run('token-list', PAGE);

  await run('certificate-list', {});
  const { requests } = await run('certificate-rotate', { what: 'router', request: true });
  const signed = await sign(parseRequest(requests[0]!), await readRootKeys(data));
  await run('certificate-install', { answer: encodeSigning(signed) });
  const copies = await rootKeyDigests(data);
  await run('certificate-rotate', { what: 'router', days: 30 });
  await run('root-rotate', {});
  await run('root-end', { number: 1 });
  await run('root-keys-drop', { number: 1, ...copies });
}

export async function nodes(): Promise<void> {
  const node = { version: '1.2.3', installation: new Uint8Array(32) };
  await registry.join({ ...node, name: 'a', address: '2001:db8::a' });
  await run('node-drain', { node: 'a' });
  await run('node-show', { node: 'a' });
  await registry.leave();
  await registry.join({ ...node, name: 'b' });
  await registry.beat({ tunnels: 0, load: 0, routesLost: Date.now() });
  await run('node-drain', { node: 'b' });
  await run('node-resume', { node: 'b' });
  await run('node-list', { limit: 1 });
  await run('node-list', PAGE);
  await run('node-resume', { node: 'a' });
  await run('node-drain', { node: 'a' });
  await run('node-remove', { node: 'a' });
  const batch = makeBatch('nodes');
  await run('group-add', { label: batch.label, network: NETWORK });
  const address = await registry.admit(applicant(batch));
  await registry.attach(address, '192.0.2.1');
  await run('device-list', { ...PAGE, node: 'b' });
  await run('device-show', { address: formatIpv6(address) });
}

export async function events(): Promise<void> {
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': '1' };
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1/events`, {
    headers,
    signal: stop.signal,
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const batch = makeBatch('events');
  await run('group-add', { label: batch.label, network: NETWORK });
  const address = await registry.admit(applicant(batch));
  await run('network-rename', { prefix: NETWORK, name: 'plant 3' });
  await run('device-standing', { address: formatIpv6(address), change: 'evict' });
  await run('group-status', { gid: toHex(batch.gid), status: 'suspended' });
  await run('node-drain', { node: 'b' });
  const told = new Set<string>();
  const isOver = (): boolean => told.size === Object.keys(STREAM_EVENTS).length;
  let text = '';
  const reader = response.body!.getReader();
  while (!isOver()) {
    const { value, done } = await reader.read();
    if (done) break;
    const blocks = (text + new TextDecoder().decode(value)).split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) {
      const [, name, sent] = /^event: (.*)\ndata: (.*)$/m.exec(block) ?? [];
      if (name === undefined) continue;
      expect(differs(STREAM_EVENTS[name], JSON.parse(sent!)), name).toBeUndefined();
      told.add(name);
    }
  }
  stop.abort();
  seen.requests.add('events');
  expect([...told].sort()).toEqual(Object.keys(STREAM_EVENTS).sort());
}
