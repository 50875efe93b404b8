// The way to a server, in a thread of its own, which can be told to fail: tests wait for the registry, whose statements wait for their answers.
import { connect, createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * `kerberos`: it asks for a kind of authentication that nobody here knows. `unsent`: the next COMMIT does not come through, and its connection ends;
 * `unanswered`: what the server says to it does not. Then it is as `next` says.
 * @type {'open' | 'silent' | 'cut' | 'kerberos' | 'unsent' | 'unanswered'}
 */
let state = 'open';
let next = 'open';
/** The socket of the server to which connections lead that are made from now on. */
let to = workerData;
/** How many statements pass on each connection before it is cut. */
let left = 0;
const sockets = new Set();

const way = createServer((socket) => {
  const server = connect(to);
  sockets.add(socket);
  let passed = 0;
  let ends = false;
  // Also once it was told to be silent: neither side hears of the end.
  socket.on('data', (data) => {
    if (state === 'silent') return;
    if (state === 'kerberos') return socket.write(Buffer.from('R\0\0\0\x08\0\0\0\x63', 'latin1'));
    // A password or the first message has no type "Q" or "P".
    if (state === 'cut' && /[QP]/.test(String.fromCharCode(data[0])) && passed++ >= left)
      return socket.destroy();
    if (/^un/.test(state) && data.includes('COMMIT')) {
      ends = true;
      const unsent = state === 'unsent';
      state = next;
      if (unsent) return socket.destroy();
    }
    server.write(data);
  });
  server.on('data', (data) => {
    if (ends) return socket.destroy();
    if (state !== 'silent') socket.write(data);
  });
  for (const [one, other] of [
    [socket, server],
    [server, socket],
  ]) {
    one.on('error', () => {});
    one.on('close', () => {
      sockets.delete(one);
      if (state !== 'silent' || one === socket) other.destroy();
    });
  }
});
way.listen(0, '127.0.0.1', () => parentPort.postMessage(way.address().port));
parentPort.on('message', (message) => {
  state = message.state;
  left = message.left ?? 0;
  next = message.next ?? 'open';
  to = message.to ?? to;
  if (message.drop) for (const socket of sockets) socket.destroy();
  parentPort.postMessage('done');
});
