// An HTTP proxy that takes CONNECT from who has the login: node proxy.mjs ADDRESS PORT USER:PASSWORD
// Prints "ready", then a line for each request: its target, or "407".
import { createServer } from 'node:http';
import { connect } from 'node:net';

const [address, port, login] = process.argv.slice(2);
const wanted = `Basic ${Buffer.from(login).toString('base64')}`;

createServer()
  .on('connect', ({ url, headers }, near) => {
    near.on('error', () => {});
    if (headers['proxy-authorization'] !== wanted) {
      console.log('407');
      near.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    console.log(url);
    const { hostname, port: to } = new URL(`http://${url}`);
    const far = connect(Number(to || 80), hostname, () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
  })
  .listen(Number(port), address, () => console.log('ready'));
