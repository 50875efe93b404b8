import { expect, onTestFinished, test } from 'vitest';
import { keepHandshakes } from '../../../fabric/nodes/handshakes.ts';
import type { Duty, NewNode } from '../../../fabric/registry/nodes.ts';
import { opened, random, registryFile } from '../place.ts';

const node = (name: string): NewNode => ({ name, version: '1.0', installation: random(32) });

/** Node a with a server of handshakes that only says what it is told, and other nodes beside it. */
async function place() {
  const path = registryFile();
  const open = (...serves: Duty[]) => opened(path, { serves });
  const own = open('identity');
  await own.join(node('a'));
  onTestFinished(await own.follow(5));
  const server = {
    accepts: true,
    pause: async (): Promise<void> => {
      server.accepts = false;
    },
    resume: async (): Promise<void> => {
      server.accepts = true;
    },
  };
  const lines: string[] = [];
  const log = (level: string, message: string) => void lines.push(`${level} ${message}`);
  const keeper = keepHandshakes({ server, nodes: own, own: 'a', log, lookMs: 5 });
  onTestFinished(keeper.close);
  return { open, own, server, keeper, lines };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 50));

test('a node that drains goes on serving handshakes until another one serves them, and again when that ends', async () => {
  const { open, own, server, keeper, lines } = await place();
  const router = open('tunnels', 'console');
  await router.join(node('r'));
  keeper.drain(true);
  await settled();
  expect(server.accepts).toBe(true);

  const other = open('identity');
  await other.join(node('b'));
  await expect.poll(() => server.accepts).toBe(false);
  // It drains, too: then nobody would serve them.
  await own.drainNode('owner', 'b');
  await expect.poll(() => server.accepts).toBe(true);
  await own.resumeNode('owner', 'b');
  await expect.poll(() => server.accepts).toBe(false);
  await other.leave();
  await expect.poll(() => server.accepts).toBe(true);
  expect(lines).toEqual([
    'notice handshakes are served by other nodes',
    'notice handshakes are served here',
    'notice handshakes are served by other nodes',
    'notice handshakes are served here',
  ]);
});

test('it serves them again when it does not drain any more; a failure changes nothing, and is said', async () => {
  const { open, own, server, keeper, lines } = await place();
  await open('identity').join(node('b'));
  await settled();
  expect(server.accepts).toBe(true);
  keeper.drain(true);
  await expect.poll(() => server.accepts).toBe(false);
  const { resume } = server;
  server.resume = () => Promise.reject(new Error('the port is taken'));
  keeper.drain(false);
  await expect.poll(() => lines.at(-1)).toBe('error handshakes of a node that drains: the port is taken');
  expect(server.accepts).toBe(false);
  server.resume = resume;
  await expect.poll(() => server.accepts).toBe(true);
  // Nothing is done any more once it is closed.
  await keeper.close();
  await own.drainNode('owner', 'a');
  keeper.drain(true);
  await settled();
  expect(server.accepts).toBe(true);
});
