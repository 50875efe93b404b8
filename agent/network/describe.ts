import type { Change } from '../../os/linux/network-config.ts';
import { isFailure } from '../../protocol/failure.ts';

/** What a change is made to, for the log. */
export function describeChange(change: Change): string {
  switch (change.kind) {
    case 'link':
      return `interface ${change.name}`;
    case 'rename':
      return `name of ${change.to}, which was ${change.from}`;
    case 'address':
    case 'remove-address':
      return `address ${change.address}`;
    case 'group':
      return `group of ${change.name}`;
    case 'add-rule':
    case 'remove-rule':
      return `IPv${change.rule.family} rule ${change.rule.priority}`;
    case 'add-route':
    case 'remove-route':
      return `IPv${change.route.family} route ${change.route.destination}`;
    case 'filter':
      return `nftables table ${change.name}`;
  }
}

/** An error as one line of the log. */
export const describeError = (error: unknown): string =>
  isFailure(error)
    ? `${error.code}: ${error.message}. ${error.action ?? ''}`.trim()
    : `internal error: ${String(error)}`;
