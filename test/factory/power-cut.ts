import { Failure } from '../../protocol/failure.ts';
import type { Tpm } from '../../tpm/context.ts';

/** A TPM whose power goes before the command that changes it for the `budget + 1`st time. */
export function powerCut(tpm: Tpm, budget: number): Tpm {
  let left = budget;
  const changes = ['evictControl', 'nvDefine', 'nvWrite'];
  const guarded =
    (send: Tpm['call']): Tpm['call'] =>
    async (command, ...rest) => {
      if (changes.includes(command) && left-- <= 0)
        throw new Failure('test.power-cut', 'retry', 'the power went');
      return send(command, ...rest);
    };
  return {
    tcti: tpm.tcti,
    get alive() {
      return tpm.alive;
    },
    get generation() {
      return tpm.generation;
    },
    ask: guarded((...command) => tpm.ask(...command)),
    call: guarded((...command) => tpm.call(...command)),
    tlsKey: (key, point) => tpm.tlsKey(key, point),
    close: () => tpm.close(),
  };
}
