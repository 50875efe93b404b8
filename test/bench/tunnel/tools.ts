import { compile } from '../compile.ts';

/** The C programs beside this file: traffic, echo, WAN emulator, TLS bulk. */
export interface Tools {
  readonly bulk: string;
  readonly blast: string;
  readonly echo: string;
  readonly wan: string;
  readonly tlsbulk: string;
}

const LIBRARIES: Partial<Record<Name, readonly string[]>> = { tlsbulk: ['-lssl', '-lcrypto'] };

/** One of them, or the steady flow of the soak. */
type Name = keyof Tools | 'trickle';

/** Compiles one of them into a folder and returns its path. @throws Failure `bench.no-compiler` */
export function compileTool(name: Name, folder: string): Promise<string> {
  return compile(`tunnel/${name}`, folder, LIBRARIES[name]);
}

/** Compiles all into a folder. @throws Failure `bench.no-compiler` */
export async function compileTools(folder: string): Promise<Tools> {
  const [bulk, blast, echo, wan, tlsbulk] = await Promise.all([
    compileTool('bulk', folder),
    compileTool('blast', folder),
    compileTool('echo', folder),
    compileTool('wan', folder),
    compileTool('tlsbulk', folder),
  ]);
  return { bulk, blast, echo, wan, tlsbulk };
}
