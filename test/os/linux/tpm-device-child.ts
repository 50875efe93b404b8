/** Opens a TPM as the user nobody, whose only other group is daemon: `tpm-device-child.mjs agent|factory TCTI`. Prints the failure. */
import { openTpmKeys } from '../../../agent/identity/tpm-keys.ts';
import { withTpm } from '../../../factory/operations.ts';
import { addon } from '../../../native/index.ts';
import type { Failure } from '../../../protocol/failure.ts';

const [who, tcti] = process.argv.slice(2) as [string, string];
addon(); // read while we still may, wherever the checkout is
process.setgroups!([1]);
process.setgid!(65_534);
process.setuid!(65_534);
try {
  if (who === 'agent') await openTpmKeys(tcti);
  else await withTpm(tcti, async () => {});
  console.log('{}');
} catch (error) {
  const { code, remedy, message, action } = error as Failure;
  console.log(JSON.stringify({ code, remedy, message, action }));
}
