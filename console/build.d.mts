import type { Metafile } from 'esbuild';

/** Builds the pages into a folder, which is emptied first. */
export declare function buildConsole(folder: string): Promise<Metafile>;
