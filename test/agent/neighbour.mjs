// Somebody to talk to: a TCP server on port 443 of all addresses, and a DNS server on port 53 that knows "enf.example" and, over
// TCP only because its answer is so long, "long.example". The service "_enf._tcp.enf.example" is there on port 443.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const ADDRESS = [198, 51, 100, 1];

function answer(query, tcp) {
  const end = query.indexOf(0, 12) + 5;
  const name = query.toString('latin1', 13, end - 5);
  const isA = query.readUInt16BE(end - 4) === 1;
  const isService = query.readUInt16BE(end - 4) === 33 && name.startsWith('_enf\x04_tcp');
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  const long = name.startsWith('long');
  if (long && !tcp) header.writeUInt16BE(0x8380, 2);
  const known = isService || (isA && (name.startsWith('enf') || (long && tcp)));
  header.writeUInt16BE(known ? 1 : 0, 6);
  // Its target is what stands behind the first two labels of the question.
  const record = isService
    ? Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 8, 0, 1, 0, 0, 443 >> 8, 443 & 255, 0xc0, 22])
    : Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...ADDRESS]);
  return Buffer.concat([header, query.subarray(12, end), ...(known ? [record] : [])]);
}

const dns = createSocket('udp4');
dns.on('message', (query, from) => dns.send(answer(query, false), from.port, from.address));
dns.bind(53);
createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    const reply = answer(chunk.subarray(2), true);
    socket.end(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]));
  });
}).listen(53);
createServer((socket) => {
  socket.on('error', () => {});
  socket.resume();
}).listen(443, '::', () => console.log('listening'));
