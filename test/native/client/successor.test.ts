import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { udp } from '../../fabric/packets.ts';
import { FAST, OWN, PEER, world } from './client-world.ts';

// A connection that is made beside the present one (native/client/successor.c).

/** A server that accepts, and says nothing until it is let: then it relays to `port`. */
async function gate(port: number) {
  const held: Socket[] = [];
  const server = createServer((socket) => held.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of held) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    held,
    open() {
      for (const near of held) {
        const far = connect(port, '127.0.0.1').on('error', () => {});
        near.pipe(far);
        far.pipe(near);
      }
    },
  };
}

type World = Awaited<ReturnType<typeof world>>;
const of = ({ events }: World, id: number): string[] =>
  events.filter(([, connection]) => connection === id).map(([event]) => event);
const happens = (place: World, id: number, event: string): Promise<void> =>
  vi.waitFor(() => expect(of(place, id)).toContain(event), { timeout: 10_000, interval: 2 });
/** A packet of the host arrives at the server over its connection `index`. */
async function carries(place: World, index: number): Promise<void> {
  let got = 0;
  place.server.sockets[index]!.on('data', (chunk) => {
    got += chunk.length;
  });
  place.host(udp(OWN, PEER));
  await vi.waitFor(() => expect(got).toBeGreaterThan(0), FAST);
}

test('the present connection carries packets until the next one has finished its handshake, and ends in order then', async () => {
  const place = await world();
  await place.connect();
  const { held, open, port } = await gate(place.server.port);
  const ended = vi.fn();
  place.server.sockets[0]!.on('end', ended);
  await place.beside(port);
  await vi.waitFor(() => expect(held).toHaveLength(1), FAST);
  await carries(place, 0);
  expect(ended).not.toHaveBeenCalled();
  open();
  await vi.waitFor(() => expect(place.server.sockets).toHaveLength(2), FAST);
  await vi.waitFor(() => expect(ended).toHaveBeenCalled(), FAST);
  await carries(place, 1);
  place.server.sockets[1]!.end();
  await happens(place, 2, 'closed');
  expect(of(place, 1).filter((event) => event !== 'up')).toEqual([]);
});

test('a handshake that fails is reported of the next one alone, and nothing else changes', async () => {
  const place = await world();
  await place.connect();
  const { held, port } = await gate(place.server.port);
  await place.beside(port);
  await vi.waitFor(() => expect(held).toHaveLength(1), FAST);
  held[0]!.end('this is no TLS\r\n');
  await happens(place, 2, 'handshake');
  await carries(place, 0);
  // One with an identity that is of no use, one whose server does not prove itself, and one that takes too long.
  await place.beside(place.server.port, { roots: 'nothing' });
  await happens(place, 3, 'bad-root');
  await place.beside(place.server.port, { names: 'other.example' });
  await happens(place, 4, 'untrusted');
  await place.beside((await gate(1)).port, { timeoutMs: 1 });
  await happens(place, 5, 'handshake');
  await carries(place, 0);
  expect(of(place, 1).filter((event) => event !== 'up')).toEqual([]);
});

test('one that ends meanwhile says so, and the next one takes its place', async () => {
  const place = await world();
  await place.connect();
  const { held, open, port } = await gate(place.server.port);
  await place.beside(port);
  await vi.waitFor(() => expect(held).toHaveLength(1), FAST);
  place.server.sockets[0]!.end();
  await happens(place, 1, 'closed');
  open();
  await vi.waitFor(() => expect(place.server.sockets).toHaveLength(2), FAST);
  await carries(place, 1);
});

test('without an established one it is the connection itself', async () => {
  const place = await world();
  await place.beside(place.server.port);
  await vi.waitFor(() => expect(place.server.sockets).toHaveLength(1), FAST);
  await carries(place, 0);
});

test('a further one takes the place of one that is under way; an end ends both', async () => {
  const place = await world();
  await place.connect();
  const { held, port } = await gate(place.server.port);
  const closed = vi.fn();
  await place.beside(port);
  await vi.waitFor(() => expect(held).toHaveLength(1), FAST);
  held[0]!.on('close', closed);
  held[0]!.resume();
  await place.beside(port);
  await vi.waitFor(() => expect(closed).toHaveBeenCalledOnce(), FAST);
  await vi.waitFor(() => expect(held).toHaveLength(2), FAST);
  held[1]!.on('close', closed);
  held[1]!.resume();
  const ended = vi.fn();
  place.server.sockets[0]!.on('end', ended);
  place.native.dataplaneDisconnect(place.dataplane);
  await vi.waitFor(() => expect(closed).toHaveBeenCalledTimes(2), FAST);
  await vi.waitFor(() => expect(ended).toHaveBeenCalled(), FAST);
  expect(place.events.filter(([event]) => event !== 'up')).toEqual([]);
});

test('one that is under way when the data plane is closed is closed with it', async () => {
  const place = await world();
  await place.connect();
  const { held, port } = await gate(place.server.port);
  await place.beside(port);
  await vi.waitFor(() => expect(held).toHaveLength(1), FAST);
  const closed = vi.fn();
  held[0]!.on('close', closed);
  held[0]!.resume();
  place.native.dataplaneClose(place.dataplane);
  await vi.waitFor(() => expect(closed).toHaveBeenCalledOnce(), FAST);
});
