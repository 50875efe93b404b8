// A TCP relay that dies in the right moment: node relay.mjs LISTEN-PORT TARGET-HOST TARGET-PORT COUNT
// Passes COUNT messages (either direction; on loopback one message is one segment), then prints "reached" and passes
// nothing more. The test that waits for the word pulls the plug.
import { connect, createServer } from 'node:net';

const [listenPort, host, port, count] = process.argv.slice(2);
let passed = 0;
const pass = (from, to) =>
  from.on('data', (chunk) => {
    if (passed >= Number(count)) return;
    to.write(chunk);
    passed++;
    if (passed === Number(count)) process.stdout.write('reached\n');
  });

createServer((near) => {
  const far = connect(Number(port), host);
  pass(near, far);
  pass(far, near);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ]) {
    one.on('close', () => other.destroy());
    one.on('error', () => other.destroy());
  }
}).listen(Number(listenPort), '127.0.0.1', () => process.stdout.write('ready\n'));
