import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What happens to a command instead of reaching the TPM. */
export type Fault =
  | { readonly kind: 'answer'; readonly rc: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'delay'; readonly ms: number };

export interface FaultyTpm {
  readonly tcti: string;
  /** Command codes in the order they came. */
  readonly commands: number[];
  /** Everything that has passed between TPM and host, as somebody on the bus sees it. */
  readonly bus: Buffer[];
  /** The next `times` commands with this code meet the fault. */
  inject(code: number, fault: Fault, times?: number): void;
  /** Lets hanging connections go. */
  release(): void;
}

/** Command codes of TPM 2.0. */
export const CC = {
  evictControl: 0x120,
  nvDefine: 0x12a,
  createPrimary: 0x131,
  nvWrite: 0x137,
  startup: 0x144,
  nvRead: 0x14e,
  create: 0x153,
  unseal: 0x15e,
  load: 0x157,
  sign: 0x15d,
  flushContext: 0x165,
  nvReadPublic: 0x169,
  readPublic: 0x173,
  getCapability: 0x17a,
  commit: 0x18b,
} as const;

/** The commands without further attempts at a group signature: once in 256 the TPM's nonce comes out short (ecdaa.md §9.4). */
export function firstAttempts(commands: readonly number[]): number[] {
  return commands.filter((code, i) => {
    const retried = (at: number): boolean => commands[at] === CC.commit && commands[at - 2] === CC.commit;
    return !(retried(i) || (code === CC.sign && retried(i - 1)));
  });
}

const HEADER = 10;

/**
 * Stands between the TSS and a swtpm on two ports like swtpm's own (data, control) and does as it is told. `always` says what happens to each
 * command of a kind.
 */
export async function faultyTpm(
  upstreamPort: number,
  always: (command: Buffer) => Fault | undefined = () => undefined,
): Promise<FaultyTpm> {
  const faults: { code: number; fault: Fault; times: number }[] = [];
  const commands: number[] = [];
  const bus: Buffer[] = [];
  const clients = new Set<Socket>();
  const data = createServer((client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client)).on('error', () => {});
    serve(client, upstreamPort, bus, (command) => {
      const code = command.readUInt32BE(6);
      commands.push(code);
      const found = faults.find((each) => each.code === code && each.times-- > 0);
      return found?.fault ?? always(command);
    });
  });
  const control = createServer((client) => pipe(client, upstreamPort + 1));
  const port = await listenOnPair(data, control);
  const release = () => {
    for (const client of clients) client.destroy();
  };
  onTestFinished(() => {
    release();
    data.close();
    control.close();
  });
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    commands,
    bus,
    inject: (code, fault, times = 1) => faults.push({ code, fault, times }),
    release,
  };
}

function serve(
  client: Socket,
  upstreamPort: number,
  bus: Buffer[],
  choose: (command: Buffer) => Fault | undefined,
): void {
  const upstream = connect(upstreamPort, '127.0.0.1');
  upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
  upstream.on('data', (answer: Buffer) => {
    bus.push(answer);
    client.write(answer);
  });
  client.on('close', () => upstream.destroy());
  let received = Buffer.alloc(0);
  client.on('data', (chunk: Buffer) => {
    bus.push(chunk);
    received = Buffer.concat([received, chunk]);
    while (received.length >= HEADER && received.length >= received.readUInt32BE(2)) {
      const length = received.readUInt32BE(2);
      const command = Buffer.from(received.subarray(0, length));
      received = received.subarray(length);
      handle(client, upstream, command, choose(command));
    }
  });
}

function handle(client: Socket, upstream: Socket, command: Buffer, fault: Fault | undefined): void {
  switch (fault?.kind) {
    case undefined:
      upstream.write(command);
      return;
    case 'delay':
      setTimeout(() => upstream.write(command), fault.ms);
      return;
    case 'drop':
      client.destroy();
      return;
    case 'hang':
      return;
    case 'bytes':
      client.write(fault.bytes);
      return;
    case 'answer': {
      const answer = Buffer.from('80010000000a00000000', 'hex');
      answer.writeUInt32BE(fault.rc, 6);
      client.write(answer);
    }
  }
}

function pipe(client: Socket, port: number): void {
  const upstream = connect(port, '127.0.0.1');
  client.on('error', () => {}).on('close', () => upstream.destroy());
  upstream.on('error', () => {}).on('close', () => client.destroy());
  client.pipe(upstream).pipe(client);
}

async function listenOnPair(data: Server, control: Server): Promise<number> {
  for (;;) {
    data.listen(0, '127.0.0.1');
    await once(data, 'listening');
    const { port } = data.address() as { port: number };
    try {
      control.listen(port + 1, '127.0.0.1');
      await once(control, 'listening');
      return port;
    } catch {
      data.close();
      await once(data, 'close');
    }
  }
}
