import type { Entry } from './entry.ts';

/** The hosts that serve one registry together. */
export const NODES: Readonly<Record<string, Entry>> = {
  'node-list': {
    permission: 'nodes.read',
    method: 'GET',
    path: '/nodes',
    summary: 'Nodes: the hosts that serve the registry together, the oldest first',
    whole: true,
  },
  'node-show': {
    permission: 'nodes.read',
    method: 'GET',
    path: '/nodes/{node}',
    summary: 'One node',
    whole: true,
  },
  'node-drain': {
    permission: 'nodes.write',
    method: 'POST',
    path: '/nodes/{node}/drain',
    summary: 'Has devices leave a node, until it is resumed',
    fresh: true,
    whole: true,
  },
  'node-resume': {
    permission: 'nodes.write',
    method: 'POST',
    path: '/nodes/{node}/resume',
    summary: 'Lets devices stay at a node again',
    whole: true,
  },
  'node-remove': {
    permission: 'nodes.write',
    method: 'DELETE',
    path: '/nodes/{node}',
    summary: 'Forgets a node that does not serve any more',
    fresh: true,
    whole: true,
  },
};
