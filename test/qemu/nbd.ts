import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** A disk behind a network block device, all offsets and lengths in bytes. */
export interface BlockDevice {
  readonly size: number;
  read(offset: number, length: number): Buffer;
  /** `durable`: it has to survive a power cut when this returns. */
  write(offset: number, data: Buffer, durable: boolean): void;
  /** All that was written is durable when this returns, or what it returns resolves. */
  flush(): void | Promise<void>;
}

export interface NbdServer {
  /** Closes all connections. */
  drop(): void;
  close(): Promise<void>;
}

const GREETING = 0x4e42444d41474943n; // "NBDMAGIC"
const OPTION_MAGIC = 0x49484156454f5054n; // "IHAVEOPT"
const OPTION_REPLY = 0x0003e889045565a9n;
const FIXED_NEWSTYLE_NO_ZEROES = 3;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const TRANSMISSION_FLAGS = 1 | 4 | 8; // has flags, can flush, can force unit access
const FORCE_UNIT_ACCESS = 1;
const EINVAL = 22;
const OPTION = { exportName: 1, abort: 2, info: 6, go: 7 } as const;
const REPLY = { ack: 1, info: 3, unsupported: 0x80000001 } as const;
const REQUEST = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;

/** Serves a disk on a Unix socket, as QEMU speaks it (fixed newstyle, simple replies), request by request. */
export async function serveNbd(path: string, device: BlockDevice): Promise<NbdServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // QEMU was killed, or the power was cut: nothing to answer any more.
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    talk(socket, device).catch(() => socket.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    drop,
    async close() {
      drop();
      server.close();
      await once(server, 'close');
    },
  };
}

async function talk(socket: Socket, device: BlockDevice): Promise<void> {
  const take = taker(socket);
  const greeting = Buffer.alloc(18);
  greeting.writeBigUInt64BE(GREETING, 0);
  greeting.writeBigUInt64BE(OPTION_MAGIC, 8);
  greeting.writeUInt16BE(FIXED_NEWSTYLE_NO_ZEROES, 16);
  socket.write(greeting);
  await take(4);
  if (await negotiate(socket, take, device.size)) await transmit(socket, take, device);
  socket.end();
}

type Take = (length: number) => Promise<Buffer>;

/** Reads exactly so many bytes from a socket, one call after the other. */
function taker(socket: Socket): Take {
  const chunks = socket[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    const parts = [rest];
    let have = rest.length;
    while (have < length) {
      const { value, done } = await chunks.next();
      if (done) throw new Error('the connection has ended');
      parts.push(value as Buffer);
      have += (value as Buffer).length;
    }
    const all = Buffer.concat(parts);
    rest = all.subarray(length);
    return all.subarray(0, length);
  };
}

/** Until the client has chosen its export; false if it went away. */
async function negotiate(socket: Socket, take: Take, size: number): Promise<boolean> {
  const description = Buffer.alloc(10);
  description.writeBigUInt64BE(BigInt(size), 0);
  description.writeUInt16BE(TRANSMISSION_FLAGS, 8);
  for (;;) {
    const head = await take(16);
    const option = head.readUInt32BE(8);
    await take(head.readUInt32BE(12));
    const reply = (type: number, body = Buffer.alloc(0)): void => {
      const answer = Buffer.alloc(20);
      answer.writeBigUInt64BE(OPTION_REPLY, 0);
      answer.writeUInt32BE(option, 8);
      answer.writeUInt32BE(type, 12);
      answer.writeUInt32BE(body.length, 16);
      socket.write(Buffer.concat([answer, body]));
    };
    if (option === OPTION.exportName) {
      socket.write(description);
      return true;
    }
    if (option === OPTION.info || option === OPTION.go) {
      reply(REPLY.info, Buffer.concat([Buffer.alloc(2), description]));
      reply(REPLY.ack);
      if (option === OPTION.go) return true;
    } else if (option === OPTION.abort) {
      reply(REPLY.ack);
      return false;
    } else reply(REPLY.unsupported);
  }
}

async function transmit(socket: Socket, take: Take, device: BlockDevice): Promise<void> {
  for (;;) {
    const request = await take(28);
    if (request.readUInt32BE(0) !== REQUEST_MAGIC) throw new Error('not a request');
    const type = request.readUInt16BE(6);
    const offset = Number(request.readBigUInt64BE(16));
    const length = request.readUInt32BE(24);
    const answer = Buffer.alloc(16);
    answer.writeUInt32BE(REPLY_MAGIC, 0);
    request.copy(answer, 8, 8, 16);
    let data: Buffer = Buffer.alloc(0);
    if (type === REQUEST.read) data = device.read(offset, length);
    else if (type === REQUEST.write)
      device.write(offset, await take(length), (request.readUInt16BE(4) & FORCE_UNIT_ACCESS) !== 0);
    else if (type === REQUEST.flush) await device.flush();
    else if (type === REQUEST.disconnect) return;
    else answer.writeUInt32BE(EINVAL, 4);
    socket.write(Buffer.concat([answer, data]));
  }
}
