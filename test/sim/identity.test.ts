import { expect, test } from 'vitest';
import { CONGESTED, RUNNING, WAITING } from '../../fabric/identity/queue.ts';
import { makeIdentityServers } from './identity.ts';

/** One server that completes 100 handshakes in a second. */
function server(agents = 10_000) {
  const answered: number[] = [];
  const provisioned: number[] = [];
  const refused: number[] = [];
  const servers = makeIdentityServers(
    agents,
    { nodes: 1, perSecond: 100 },
    {
      answered: (agent) => void answered.push(agent),
      provisioned: (agent) => void provisioned.push(agent),
      refused: (agent) => void refused.push(agent),
    },
  );
  const serve = (seconds: number): void => {
    for (let i = 0; i < 100 * seconds; i++) servers.serve(0, 10);
  };
  const claim = (from: number, to: number): void => {
    for (let agent = from; agent < to; agent++) {
      servers.connect(agent, 0);
      servers.claim(agent);
    }
  };
  return { servers, serve, claim, answered, provisioned, refused };
}

test('claims are served in their order, as many as there is time for', () => {
  const { serve, claim, provisioned, answered } = server();
  claim(0, 300);
  serve(1);
  expect(answered).toHaveLength(300);
  expect(provisioned.length).toBeGreaterThan(60);
  expect(provisioned.length).toBeLessThan(102);
  expect(provisioned).toEqual([...provisioned].sort((one, other) => one - other));
  serve(5);
  expect(provisioned).toHaveLength(300);
});

test('first messages are refused while too many claims wait', () => {
  const { claim, servers, refused, answered } = server();
  const most = WAITING.normal * CONGESTED.all;
  claim(0, most);
  expect(refused).toEqual([]);
  servers.connect(5_000, 0);
  expect([refused, answered.includes(5_000), servers.open(0)]).toEqual([[5_000], false, most]);
});

test('the newest claim is refused when the queue is full', () => {
  const { servers, refused } = server();
  for (let agent = 0; agent <= WAITING.normal; agent++) servers.connect(agent, 0);
  expect(refused).toEqual([]);
  for (let agent = 0; agent <= WAITING.normal; agent++) servers.claim(agent);
  expect(refused).toEqual([WAITING.normal]);
});

test('while nothing can be written nobody is provisioned, and then all that were verified', () => {
  const { servers, serve, claim, provisioned } = server();
  servers.setDatabase(false);
  claim(0, 500);
  serve(10);
  expect([provisioned.length, servers.open(0)]).toEqual([0, 500]);
  servers.setDatabase(true);
  expect(provisioned).toHaveLength(RUNNING);
});

test('what was claimed is verified although the device has left', () => {
  const { servers, serve, claim, provisioned } = server();
  claim(0, 100);
  for (let agent = 0; agent < 99; agent++) servers.leave(agent);
  serve(0.5);
  expect(provisioned).toEqual([]);
  serve(2);
  expect([provisioned, servers.open(0)]).toEqual([[99], 0]);
});

test('all are refused when the program ends', () => {
  const { servers, claim, refused } = server();
  claim(0, 3);
  servers.connect(3, 0);
  servers.kill(0);
  expect(refused.sort()).toEqual([0, 1, 2, 3]);
  expect(servers.open(0)).toBe(0);
});
