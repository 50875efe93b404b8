/** See world.mjs, which makes it when the console is built. */
declare module 'world-map' {
  export const width: number;
  export const height: number;
  export const land: string;
  export const scale: number;
  export const origin: readonly [x: number, y: number];
  export const dots: Readonly<Record<string, readonly [x: number, y: number] | undefined>>;
}
