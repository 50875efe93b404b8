import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A service manager's notification socket: what a service said, message by message. */
export interface Manager {
  readonly socket: string;
  readonly messages: () => readonly string[];
  close(): void;
}

/** Listens on `socket` as systemd does. Node has no Unix datagram sockets; perl is on every Debian. */
export async function listenAsManager(socket: string): Promise<Manager> {
  const child: ChildProcess = spawn(
    'perl',
    [
      '-MSocket',
      '-e',
      `$| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un($ARGV[0])) or die; print "\\0";
       while (defined recv(S, $text, 8192, 0)) { print "$text\\0"; }`,
      socket,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child.stdout!, 'data');
  return {
    socket,
    messages: () => text.split('\0').slice(1, -1),
    close: () => void child.kill('SIGKILL'),
  };
}
