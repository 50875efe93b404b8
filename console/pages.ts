import type { ComponentType } from 'preact';
import type { Permission } from '../fabric/access/roles.ts';
import type { Route } from './app/address.ts';

/** A page of the console; its code is loaded when somebody opens it first. */
export interface PageEntry {
  /** The first part of its address. */
  readonly path: string;
  /** In the navigation; without: it is reached from another page. */
  readonly name?: string;
  readonly needs: Permission;
  /** Without the frame: for a screen that nobody touches. */
  readonly bare?: true;
  readonly load: () => Promise<ComponentType<{ readonly route: Route }>>;
}

export const PAGES: readonly PageEntry[] = [
  {
    path: '',
    name: 'Overview',
    needs: 'devices.read',
    load: async () => (await import('./pages/overview.tsx')).Overview,
  },
  {
    path: 'claim',
    name: 'Claim',
    needs: 'groups.claim',
    load: async () => (await import('./pages/claim.tsx')).Claim,
  },
  {
    path: 'batches',
    name: 'Batches',
    needs: 'groups.read',
    load: async () => (await import('./pages/batches.tsx')).Batches,
  },
  {
    path: 'devices',
    name: 'Devices',
    needs: 'devices.read',
    load: async () => (await import('./pages/devices.tsx')).Devices,
  },
  {
    path: 'handshakes',
    name: 'Handshakes',
    needs: 'handshakes.read',
    load: async () => (await import('./pages/handshakes.tsx')).Handshakes,
  },
  {
    path: 'map',
    name: 'Map',
    needs: 'handshakes.read',
    load: async () => (await import('./pages/map.tsx')).MapPage,
  },
  {
    path: 'alarms',
    name: 'Alarms',
    needs: 'alarms.read',
    load: async () => (await import('./pages/alarms.tsx')).Alarms,
  },
  {
    path: 'networks',
    name: 'Networks',
    needs: 'networks.read',
    load: async () => (await import('./pages/networks.tsx')).Networks,
  },
  {
    path: 'cas',
    name: 'CAs',
    needs: 'pki.read',
    load: async () => (await import('./pages/cas.tsx')).Cas,
  },
  {
    path: 'rules',
    needs: 'rules.read',
    load: async () => (await import('./pages/rules.tsx')).Rules,
  },
  {
    path: 'prefixes',
    needs: 'networks.read',
    load: async () => (await import('./prefixes/delegations.tsx')).Delegations,
  },
  {
    path: 'audit',
    name: 'Audit',
    needs: 'audit.read',
    load: async () => (await import('./pages/audit.tsx')).Audit,
  },
  {
    path: 'nodes',
    name: 'Nodes',
    needs: 'nodes.read',
    load: async () => (await import('./nodes/nodes.tsx')).Nodes,
  },
  {
    path: 'people',
    name: 'People',
    needs: 'people.read',
    load: async () => (await import('./pages/people.tsx')).People,
  },
  {
    path: 'settings',
    name: 'Settings',
    needs: 'handshakes.read',
    load: async () => (await import('./pages/settings.tsx')).Settings,
  },
  {
    path: 'wall',
    needs: 'handshakes.read',
    bare: true,
    load: async () => (await import('./pages/wall.tsx')).Wall,
  },
  { path: 'you', needs: 'networks.read', load: async () => (await import('./pages/you.tsx')).You },
];
