import { failed, failing, ok } from '../../../cli/check.ts';
import { servedText } from '../../operations/contract/serving.ts';
import type { Check } from '../check.ts';

export const control: Check = {
  id: 'control',
  about: 'a fabric serves the data folder, and its control socket answers',
  async run(probes) {
    try {
      const serving = await probes.serving();
      if (serving === undefined)
        return failed('no fabric serves this data folder', 'Start it: enf-fabric serve');
      if (serving === null) return failed('the fabric has not started yet', 'Look at what it logs.');
      return ok(`the fabric answers: ${servedText(serving)}`);
    } catch (error) {
      return failing(error);
    }
  },
};
