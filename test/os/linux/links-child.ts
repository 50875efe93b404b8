import { linkPrefixes } from '../../../os/linux/links.ts';
import { formatPrefix } from '../../../protocol/ipv6.ts';

console.log(linkPrefixes(process.argv[2]!).map(formatPrefix).join(' '));
