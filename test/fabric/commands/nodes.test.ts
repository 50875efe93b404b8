import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LOST_MS } from '../../../fabric/registry/nodes.ts';
import { opened, random, scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

/** A founded fabric, and a configuration that makes it the node a. */
async function founded(): Promise<{ data: string; at: string[]; config: string[] }> {
  const folder = scratch();
  const data = join(folder, 'fabric');
  const file = join(folder, 'fabric.toml');
  writeFileSync(file, '[node]\nname = "a"\naddress = "2001:db8::a"\n');
  await fabric.json('init', '--data', data);
  return { data, at: ['--data', data], config: ['--config', file] };
}

test('a fabric with a name is listed, drains, comes back after a crash, and is removed when it has stopped', async () => {
  const { data, at, config } = await founded();
  const said = async (...words: string[]): Promise<string> => (await fabric.run(...words, ...at)).out;
  const serving = await fabric.serve(data, ...config);
  expect(await said('node', 'list')).toMatch(
    /^NODE +STATE +VERSION +SERVES +TUNNELS +LOAD +SEEN +ADDRESS\na +serving +development +identity,tunnels,console +0 +\d+\.\d\d +.*Z +2001:db8::a *\n$/,
  );
  expect(await fabric.json('node', 'show', 'a', ...at)).toMatchObject({
    ...{ name: 'a', address: '2001:db8::a', state: 'serving', draining: null, routesLost: null, tunnels: 0 },
  });
  expect(await said('node', 'drain', 'a')).toBe(
    'Node a drains: devices are to leave it. A moment ago it had 0 tunnels, see "enf-fabric node show a". (in force)\n',
  );
  expect(serving.log()).toContain('this node drains');
  expect(await said('node', 'drain', 'a')).toBe('Node a drains already.\n');
  expect(await said('node', 'show', 'a')).toMatch(/^State +draining, draining since /m);
  expect(await fabric.refusal('node', 'remove', 'a', '--yes', ...at)).toMatchObject({ code: 'node.serving' });
  expect(await fabric.refusal('node', 'show', 'b', ...at)).toMatchObject({ code: 'node.unknown' });

  await serving.stop('SIGKILL');
  const again = await fabric.serve(data, ...config);
  expect(await fabric.json('node', 'show', 'a', ...at)).toMatchObject({ state: 'draining' });
  expect(again.log()).toContain('this node drains');
  expect(await fabric.json('node', 'resume', 'a', ...at)).toMatchObject({ state: 'serving', changed: true });
  expect(await said('node', 'resume', 'a')).toBe('Node a did not drain.\n');
  expect(await again.stop()).toBe(0);

  expect(await fabric.json('node', 'list', ...at)).toMatchObject([{ name: 'a', state: 'stopped' }]);
  expect(await fabric.refusal('node', 'remove', 'a', ...at)).toMatchObject({ code: 'cli.not-confirmed' });
  expect(await said('node', 'remove', 'a', '--yes')).toBe('Node a is forgotten.\n');
  expect(await said('node', 'list')).toContain('No nodes: this fabric serves alone.');
  expect(await said('audit', '--limit', '4')).toMatch(/node\.join.*node\.drain.*node\.resume.*node\.remove/s);
});

test('a fabric without a name is no node', async () => {
  const { data, at } = await founded();
  await fabric.serve(data);
  expect(await fabric.json('node', 'list', ...at)).toEqual([]);
  expect(await fabric.refusal('device', 'list', '--node', 'a', ...at)).toMatchObject({
    code: 'node.unknown',
  });
});

test('one whose name another process has taken, as it may of a node that is lost, ends, and is refused until that one is gone', async () => {
  const { data, config } = await founded();
  const serving = await fabric.serve(data, ...config);
  const clock = { wrongByMs: LOST_MS };
  const other = opened(join(data, 'registry.db'), { now: () => Date.now() + clock.wrongByMs });
  await other.join({ name: 'a', address: '2001:db8::2', version: '2', installation: random(32) });
  clock.wrongByMs = 0;
  const beat = () => other.beat({ tunnels: 0, load: 0 });
  await beat();
  expect(await serving.ended()).toBe(1);
  expect(serving.log()).toMatch(
    /error +node a ends: it was lost, and another process has its name now\n.*stopping\n\{"error":\{"code":"node\.name-in-use"/,
  );
  await beat();
  const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0', '--tun', 'none'];
  const serve = ['serve', '--data', data, ...listen, ...config];
  expect(await fabric.refusal(...serve)).toMatchObject({ code: 'node.name-in-use', remedy: 'retry' });
  expect(await other.node('a')).toMatchObject({ state: 'serving', version: '2' });
  await other.leave();
  expect(await (await fabric.serve(data, ...config)).stop()).toBe(0);
});
